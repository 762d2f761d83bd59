"""Waits that are awaited: one waiter for each event loop and client, driven by the loop itself.

A waiter lives as long as it has waits, and is held by its loop alone. So nothing of it is left behind when
a loop is closed, and a loop that is closed with waits under way takes them along once it is collected.
"""

from __future__ import annotations

import asyncio
import threading
import time
import weakref
from contextlib import suppress
from typing import Callable, Optional

from ._handle import Handle
from ._served import Served
from ._waits import AtItsEnd, Sink, Waits
from .asking import Waiting
from .events import Event, EventKind
from .exceptions import ClosedError

# What one callback of the loop does at the most, before others have their turn.
_MOST_EVENTS = 64
_MOST_SECONDS = 0.005

Loops = weakref.WeakValueDictionary[int, "LoopWaits"]


class LoopWaits:
    """All waits of one client that one event loop awaits."""

    def __init__(self, client: Handle, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.waits = Waits(client)
        try:
            if self.waits.fd < 0:
                raise NotImplementedError
            loop.add_reader(self.waits.fd, self._on_readable)
            self._has_reader = True
        except NotImplementedError:
            self._has_reader = False
            thread = threading.Thread(target=self._drive, name="libmfa", daemon=True)
            thread.start()

    def serves(self, loop: asyncio.AbstractEventLoop) -> bool:
        return self.loop is loop and not self.waits.closed

    def _on_readable(self) -> None:
        until = time.monotonic() + _MOST_SECONDS
        try:
            for _ in range(_MOST_EVENTS):
                if not self.waits.turn() or time.monotonic() >= until:
                    break
        except (AtItsEnd, ClosedError):
            self.loop.remove_reader(self.waits.fd)
        finally:
            if self.waits.closed:  # It broke: its descriptor's number may soon be somebody else's.
                self.loop.remove_reader(self.waits.fd)
            self.close_if_idle()

    def _drive(self) -> None:
        """On a thread, where the loop has no readers."""
        try:
            while not self.loop.is_closed():
                try:
                    self.waits.turn(1_000, self._post)
                except (ClosedError, AtItsEnd):
                    raise
                except Exception as error:
                    self._call_in_loop(self._report, error)
        except (ClosedError, AtItsEnd):
            return  # The program's end drives what is left.
        self.waits.close()

    def _post(self, sink: Sink, number: int, event: Event) -> None:
        if event.kind is EventKind.ENDED:
            self.waits.forget(sink.key)  # Before anybody can ask whether one is left.
        sink.post(number, event)

    def _report(self, error: Exception) -> None:
        self.loop.call_exception_handler({"message": "mfa_client: the log failed", "exception": error})

    def _call_in_loop(self, function: Callable[..., object], *arguments: object) -> None:
        with suppress(RuntimeError):  # It was closed meanwhile.
            self.loop.call_soon_threadsafe(function, *arguments)

    def close_if_idle(self) -> None:
        if self.waits.is_idle and not self.waits.closed:
            if self._has_reader:
                self.loop.remove_reader(self.waits.fd)
            self.waits.close()


class Awaited(Served):
    """One wait, and the coroutine that awaits it."""

    def __init__(self, loops: Loops, client: Handle, waiting: Waiting) -> None:
        self._loop = asyncio.get_running_loop()
        self._waker: Optional[asyncio.Future[None]] = None
        driver = _waits_of(self._loop, loops, client)
        super().__init__(driver.waits, waiting, driver.close_if_idle)

    async def _until_woken(self) -> None:
        self._waker = self._loop.create_future()
        try:
            await self._waker
        finally:
            self._waker = None

    def _wake(self) -> None:
        if self._waker is not None and not self._waker.done():
            self._waker.set_result(None)

    def post(self, number: int, event: Event) -> None:
        with suppress(RuntimeError):  # The loop was closed.
            self._loop.call_soon_threadsafe(self.take, number, event)


def _waits_of(loop: asyncio.AbstractEventLoop, loops: Loops, client: Handle) -> LoopWaits:
    waits = loops.get(id(loop))
    if waits is None or not waits.serves(loop):
        waits = loops[id(loop)] = LoopWaits(client, loop)
    return waits
