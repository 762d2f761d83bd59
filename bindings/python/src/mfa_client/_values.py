"""From Python's values to C's, without losing any of them on the way.

ctypes cuts numbers to their width and libmfa ends a string at its first NUL, both in silence.
Whether a value is allowed is libmfa's business.
"""

from __future__ import annotations

import ctypes
from typing import Any, Optional, Union

from .exceptions import InvalidArgumentError

Text = Union[str, bytes]

_MOST_SECONDS = 4_294_967  # 2**32 milliseconds


def text(name: str, value: Optional[Text]) -> Optional[bytes]:
    if value is None:
        return None
    if isinstance(value, str):
        # A lone surrogate becomes what libmfa refuses as not UTF-8.
        value = value.encode("utf-8", "surrogatepass")
    elif not isinstance(value, bytes):
        raise TypeError(f"{name} must be text, not {type(value).__name__}")
    if b"\0" in value:
        raise InvalidArgumentError(f"{name} holds a NUL character")
    return value


def integer(name: str, value: int, bits: int, least: Optional[int] = None) -> int:
    least = -(2 ** (bits - 1)) if least is None else least
    most = 2 ** (bits - 1) - 1
    if not isinstance(value, int):
        raise TypeError(f"{name} must be an integer, not {type(value).__name__}")
    if not least <= value <= most:
        raise InvalidArgumentError(f"{name} is not in {least}..{most}")
    return value


def milliseconds(name: str, seconds: Optional[float]) -> int:
    """0 is libmfa's way to say "the default"; here that is None, and 0 seconds is a mistake."""
    if seconds is None:
        return 0
    if not 0 < seconds <= _MOST_SECONDS:
        raise InvalidArgumentError(
            f"{name} must be above 0 and at most {_MOST_SECONDS} seconds; None is the default"
        )
    return max(1, round(seconds * 1000))


def struct(kind: Any, **fields: object) -> Any:
    return kind(struct_size=ctypes.sizeof(kind), **fields)
