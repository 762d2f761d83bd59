"""Ends calls before their time."""

from __future__ import annotations

from typing import Optional

from ._library import Handle, library
from .exceptions import InternalError


class CancelToken:
    """Ends every call that it was given to, now and later: each raises `Cancelled`.

    One may serve many calls at once. Once triggered it stays so for good.
    """

    def __init__(self) -> None:
        lib = library()
        pointer = lib.mfa_cancel_new()
        if not pointer:
            raise InternalError("mfa_cancel_new failed")
        self._handle = Handle(pointer, lib.mfa_cancel_free)
        self._trigger = lib.mfa_cancel_trigger
        self._triggered = False
        self._followers: set[CancelToken] = set()

    def trigger(self) -> None:
        """From any thread, or from a signal handler; any number of times; never blocks."""
        self._triggered = True
        self._trigger(self._handle.pointer)
        for follower in tuple(self._followers):
            follower.trigger()

    @property
    def triggered(self) -> bool:
        return self._triggered

    @property
    def pointer(self) -> int:
        return self._handle.pointer

    def follow(self, leader: Optional[CancelToken]) -> None:
        """From now on `leader` triggers this one, too. No lock: whichever of `trigger` and this
        comes second sees what the first has done."""
        if leader is not None:
            leader._followers.add(self)
            if leader._triggered:
                self.trigger()

    def unfollow(self, leader: Optional[CancelToken]) -> None:
        if leader is not None:
            leader._followers.discard(self)
