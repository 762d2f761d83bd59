"""From Python's values to C's, without losing any of them on the way.

ctypes cuts numbers to their width and libmfa ends a string at its first NUL, both in silence.
Whether a value is allowed is libmfa's business.
"""

from __future__ import annotations

import ctypes
from typing import Any, Callable, Optional, TypeVar, Union

from .exceptions import InvalidArgumentError

Text = Union[str, bytes]
T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., object])

_MOST_SECONDS = 4_294_967  # 2**32 milliseconds


def text(name: str, value: Optional[Text]) -> Optional[bytes]:
    return None if value is None else required_text(name, value)


def required_text(name: str, value: Text) -> bytes:
    if isinstance(value, str):
        # A lone surrogate becomes what libmfa refuses as not UTF-8.
        value = value.encode("utf-8", "surrogatepass")
    elif not isinstance(value, bytes):
        raise TypeError(f"{name} must be text, not {type(value).__name__}")
    if b"\0" in value:
        raise InvalidArgumentError(f"{name} holds a NUL character")
    return value


def integer(name: str, value: int, bits: int, least: Optional[int] = None) -> int:
    lowest = -(2 ** (bits - 1)) if least is None else least
    most = 2 ** (bits - 1) - 1
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name} must be an integer, not {type(value).__name__}")
    if not lowest <= value <= most:
        raise InvalidArgumentError(f"{name} is not in {lowest}..{most}")
    return value


def milliseconds(name: str, seconds: Optional[float]) -> int:
    """0 is libmfa's way to say "the default"; here that is None, and 0 seconds is a mistake."""
    if seconds is None:
        return 0
    check_seconds(name, seconds)
    if not 0 < seconds <= _MOST_SECONDS:
        raise InvalidArgumentError(
            f"{name} must be above 0 and at most {_MOST_SECONDS} seconds; None is the default"
        )
    return max(1, round(seconds * 1000))


def check_seconds(name: str, seconds: object) -> None:
    if not isinstance(seconds, (int, float)) or isinstance(seconds, bool):
        raise TypeError(f"{name} must be a number of seconds, not {type(seconds).__name__}")


def boolean(name: str, value: bool) -> bool:
    """Not whether it has a truth value: "no" has one, too."""
    return instance(name, value, bool, "True or False")


def function(name: str, value: Optional[F]) -> Optional[F]:
    if value is not None and not callable(value):
        raise TypeError(f"{name} must be a function, not {type(value).__name__}")
    return value


def instance(name: str, value: object, kind: type[T], said: str) -> T:
    if not isinstance(value, kind):
        raise TypeError(f"{name} must be {said}, not {type(value).__name__}")
    return value


def struct(kind: Any, **fields: object) -> Any:
    return kind(struct_size=ctypes.sizeof(kind), **fields)
