"""Ends calls before their time."""

from __future__ import annotations

import atexit
import threading
import weakref
from contextlib import suppress
from typing import Any, Optional, Protocol

from ._handle import Handle, Owner
from ._library import library
from ._values import boolean, instance
from .exceptions import ClosedError, InternalError


class Follower(Protocol):
    """What a token ends."""

    def trigger(self) -> None:
        """As a token's."""


class CancelToken(Owner):
    """Ends every call that it was given to, now and later: each raises `Cancelled`.

    One may serve many calls at once. Once triggered it stays so for good.
    """

    _triggered = False
    _followers: set[Follower] = set()  # Of one that could not be made: nothing follows that.

    def __init__(self, *, at_exit: bool = False) -> None:
        """at_exit: it is triggered by itself when the program has come to its end, before Python waits for the
        threads that still run, such as those of a `ThreadPoolExecutor`. Otherwise the calls that they make go on
        to their answers, or to their deadlines, and the program ends no sooner.
        """
        ends_by_itself = boolean("at_exit", at_exit)
        lib = library()
        pointer = lib.mfa_cancel_new()
        if not pointer:
            raise InternalError("the system has no means left for a token")
        self._handle = Handle(pointer, lib.mfa_cancel_free, type(self).__name__)
        self._trigger = lib.mfa_cancel_trigger
        self._triggered = False
        self._followers = set()
        if ends_by_itself:
            _program_end.triggers(self)

    def trigger(self) -> None:
        """From any thread, or from a signal handler; any number of times; never blocks."""
        self._triggered = True
        with suppress(ClosedError), self._open() as pointer:
            self._trigger(pointer)
        for follower in tuple(self._followers):
            follower.trigger()

    @property
    def triggered(self) -> bool:
        """Whether it was triggered."""
        return self._triggered

    def __repr__(self) -> str:
        closed = self._handle is None or self._handle.closed
        return f"<{type(self).__name__} {'triggered' if self._triggered else 'closed' if closed else 'not triggered'}>"

    def _lead(self, follower: Follower) -> None:
        """From now on this triggers `follower`, too. No lock: whichever of `trigger` and this comes
        second sees what the first has done."""
        self._followers.add(follower)
        if self._triggered:
            follower.trigger()

    def _lead_no_more(self, follower: Follower) -> None:
        self._followers.discard(follower)


class _ProgramEnd:
    """When the main thread has come to its end, and nobody has waited for the others yet."""

    def __init__(self) -> None:
        self._tokens: weakref.WeakSet[CancelToken] = weakref.WeakSet()
        self._is_known = self._has_come = False

    def triggers(self, token: CancelToken) -> None:
        self._tokens.add(token)
        if not self._is_known:
            self._is_known = True
            self._has_come = not _call_before_threads_are_joined(self._come)
        if self._has_come:
            token.trigger()

    def _come(self) -> None:
        self._has_come = True
        for token in tuple(self._tokens):
            token.trigger()


def _call_before_threads_are_joined(function: Any) -> bool:
    """False: it is too late. What is registered last is called first, so it must come after the pools' own."""
    import concurrent.futures.thread  # noqa: F401

    # Python has no public way; without the private one (no Python from 3.9 to 3.14) it is done at `atexit`.
    register = getattr(threading, "_register_atexit", atexit.register)
    try:
        register(function)
    except RuntimeError:
        return False
    return True


_program_end = _ProgramEnd()


def token(cancel: Optional[CancelToken]) -> Optional[CancelToken]:
    return None if cancel is None else instance("cancel", cancel, CancelToken, "a CancelToken")
