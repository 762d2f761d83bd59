"""Waits under gevent or eventlet, where nothing may hold up the thread that all greenlets share.

Both put functions of their own in the place of `select` and of threads. Where they have, a wait is made on
a waiter, of which there is one for each hub and client, driven by a greenlet of its own.
"""

from __future__ import annotations

import select
import sys
import threading
import time
import types
import weakref
from collections.abc import Generator, Sequence
from contextlib import suppress
from typing import Any, Optional

from ._handle import Handle
from ._served import Served
from ._waits import AtItsEnd, Waits
from .answers import Transaction
from .asking import Waiting
from .cancel import CancelToken
from .events import Event
from .exceptions import ClosedError

# Before other greenlets have their turn.
_MOST_EVENTS = 64
_MOST_SECONDS = 0.005


def is_green() -> bool:
    return not isinstance(select.select, types.BuiltinFunctionType)


def _hub() -> Any:
    """What schedules the greenlets of this thread."""
    package = select.select.__module__.partition(".")[0]
    hubs: Any = sys.modules.get("eventlet.hubs" if package == "eventlet" else package)
    return hubs.get_hub()


class HubWaits:
    """All waits of one client on one hub."""

    def __init__(self, client: Handle, hub: Any) -> None:
        self.hub = hub
        self.waits = Waits(client)
        threading.Thread(target=self._drive, name="libmfa", daemon=True).start()

    def _drive(self) -> None:
        with suppress(ClosedError, AtItsEnd):
            while True:
                if self._take_some():
                    time.sleep(0)
                else:
                    self.waits.wait_until_ready(None)

    def _take_some(self) -> bool:
        """Whether there may be more."""
        until = time.monotonic() + _MOST_SECONDS
        for _ in range(_MOST_EVENTS):
            try:
                if not self.waits.turn():
                    return False
                if time.monotonic() >= until:
                    break
            except (ClosedError, AtItsEnd):
                raise
            except Exception as error:
                # The log's own, which belongs to no wait alone.
                sys.excepthook(type(error), error, error.__traceback__)
        return True

    def close_if_idle(self) -> None:
        # Nothing else runs between these two: a greenlet gives way only where it waits.
        if self.waits.is_idle:
            self.waits.close()


Hubs = weakref.WeakValueDictionary[int, HubWaits]


class InGreenlet(Served):
    """One wait, and the greenlet that called."""

    def __init__(self, hubs: Hubs, client: Handle, waiting: Waiting) -> None:
        hub = _hub()
        driver = hubs.get(id(hub))
        if driver is None or driver.hub is not hub or driver.waits.closed:
            driver = hubs[id(hub)] = HubWaits(client, hub)
        self._woken = threading.Event()
        super().__init__(driver.waits, waiting, driver.close_if_idle)

    def call(
        self, function: str, inputs: Sequence[object], timeout: Optional[float], cancel: Optional[CancelToken]
    ) -> Transaction:
        serving = self.run(function, inputs, timeout, cancel)
        try:
            serving.send(None)
            while True:
                try:
                    self._woken.wait()
                except BaseException as error:  # A timeout of gevent's, Ctrl-C, or the greenlet is killed.
                    serving.throw(error)
                else:
                    serving.send(None)
        except StopIteration as done:
            answer: Transaction = done.value
            return answer

    async def _until_woken(self) -> None:
        self._woken.clear()
        await _Pause()

    def _wake(self) -> None:
        self._woken.set()

    def post(self, number: int, event: Event) -> None:
        self.take(number, event)


class _Pause:
    def __await__(self) -> Generator[None, None, None]:
        yield
