"""Ends calls before their time."""

from __future__ import annotations

from contextlib import suppress
from typing import Optional, Protocol

from ._handle import Handle, Owner
from ._library import library
from ._values import instance
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

    def __init__(self) -> None:
        lib = library()
        pointer = lib.mfa_cancel_new()
        if not pointer:
            raise InternalError("the system has no means left for a token")
        self._handle = Handle(pointer, lib.mfa_cancel_free, type(self).__name__)
        self._trigger = lib.mfa_cancel_trigger
        self._triggered = False
        self._followers = set()

    def trigger(self) -> None:
        """From any thread, or from a signal handler; any number of times; never blocks."""
        self._triggered = True
        with suppress(ClosedError), self._open() as pointer:
            self._trigger(pointer)
        for follower in tuple(self._followers):
            follower.trigger()

    @property
    def triggered(self) -> bool:
        return self._triggered

    def lead(self, follower: Follower) -> None:
        """From now on this triggers `follower`, too. No lock: whichever of `trigger` and this comes
        second sees what the first has done."""
        self._followers.add(follower)
        if self._triggered:
            follower.trigger()

    def lead_no_more(self, follower: Follower) -> None:
        self._followers.discard(follower)


def token(cancel: Optional[CancelToken]) -> Optional[CancelToken]:
    return None if cancel is None else instance("cancel", cancel, CancelToken, "a CancelToken")
