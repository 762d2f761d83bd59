"""Many people at once, for programs without asyncio."""

from __future__ import annotations

import ctypes
import time
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Optional, Union

from ._handle import Handle, Uncopied
from ._values import integer, text
from ._waits import Waits
from .asking import Request, WaitOptions, confirm_inputs, known_inputs
from .events import Event, EventKind
from .exceptions import InvalidArgumentError


class Waiter(Uncopied):
    """Waits for any number of people on one thread: whoever takes the events drives all the waits.

        with client.waiter() as waiter:
            for token in tokens:
                waiter.confirm(token, "Sign in?", data=token)
            for event in waiter:
                if event.kind is EventKind.ENDED:
                    ...  # event.result() returns or raises what client.confirm would have

    Nothing happens unless somebody takes events. All but that may be done on any thread, and never waits.
    The iterator ends when no wait is left, and Ctrl-C ends it. Closing ends the waits: their transactions
    go on, but for those whose `WaitOptions.withdraw_on_cancel` is set.
    """

    def __init__(self, client: Handle, max_connections: int, max_requests_per_second: int) -> None:
        self._waits = Waits(
            client,
            max_connections=integer("max_connections", max_connections, 32, 0),
            max_requests_per_second=integer("max_requests_per_second", max_requests_per_second, 32, 0),
        )
        self._events: deque[Event] = deque()
        self._woken = False

    def confirm(
        self,
        access_token: str,
        request: Union[Request, str],
        *,
        data: object = None,
        wait: Optional[WaitOptions] = None,
        timeout: Optional[float] = None,
        report_updates: bool = False,
        ask_for_token: bool = False,
    ) -> int:
        """Adds what `HyperId.confirm` does, and returns its ticket. `timeout` counts from now.

        report_updates: events of the kind UPDATE, too.
        ask_for_token: an event of the kind TOKEN_REFUSED when the token is refused; see `give_token`.
            Without it that ends the wait.
        """
        inputs = confirm_inputs(access_token, request)
        return self._add("mfa_waiter_confirm", inputs, data, wait, timeout, report_updates, ask_for_token)

    def wait(
        self,
        access_token: str,
        transaction_id: int,
        *,
        data: object = None,
        wait: Optional[WaitOptions] = None,
        timeout: Optional[float] = None,
        report_updates: bool = False,
        ask_for_token: bool = False,
    ) -> int:
        """Adds what `HyperId.wait` does; otherwise as `confirm`."""
        inputs = known_inputs(access_token, transaction_id)
        return self._add("mfa_waiter_wait", inputs, data, wait, timeout, report_updates, ask_for_token)

    def _add(
        self,
        function: str,
        inputs: Sequence[object],
        data: object,
        wait: Optional[WaitOptions],
        timeout: Optional[float],
        report_updates: bool,
        ask_for_token: bool,
    ) -> int:
        wait = wait or WaitOptions()
        if wait.on_update or wait.access_token_provider:
            raise InvalidArgumentError("a waiter has events in place of on_update and access_token_provider")
        options = ctypes.byref(wait._with_events(report_updates, ask_for_token))
        sink = _Sink(self._events, data)
        self._waits.add(function, (*inputs, options), sink, timeout, wait.withdraw_on_cancel)
        return sink.ticket

    def cancel(self, ticket: int, *, withdraw: bool = False) -> None:
        """Ends a wait: its last event says `Cancelled`, unless a final answer was there. One that has ended
        is left alone. withdraw: as `WaitOptions.withdraw_on_cancel`."""
        self._waits.cancel(integer("ticket", ticket, 65, 0), withdraw)

    def cancel_all(self, *, withdraw: bool = False) -> None:
        """Ends all waits."""
        self._waits.cancel_all(withdraw)

    def give_token(self, ticket: int, access_token: Optional[str]) -> None:
        """After TOKEN_REFUSED: a fresh token, or None to give up."""
        self._waits.give_token(integer("ticket", ticket, 65, 0), text("access_token", access_token))

    def wake(self) -> None:
        """Ends the `next` under way with None, else the next one to begin. From any thread."""
        self._woken = True
        self._waits.wake()

    def next(self, timeout: Optional[float] = None) -> Optional[Event]:
        """The next event; None: so many seconds have passed, or somebody called `wake`."""
        if timeout is not None and timeout < 0:
            raise InvalidArgumentError("timeout is below 0")
        latest = None if timeout is None else time.monotonic() + timeout
        while True:
            # One may be left from a turn that was interrupted.
            turned = bool(self._events) or self._waits.turn()
            if self._events:
                self._woken = False
                return self._events.popleft()
            is_over = latest is not None and time.monotonic() >= latest
            if self._woken or (is_over and not turned):
                self._woken = False
                return None
            if not turned:
                self._waits.wait_until_ready(latest)

    def __iter__(self) -> Iterator[Event]:
        """The events, until no wait is left. Waits may be added meanwhile."""
        while len(self):
            event = self.next()
            if event is not None:
                yield event

    def __len__(self) -> int:
        """The waits that were added, and whose last event was not taken yet."""
        return len(self._waits) + sum(event.kind is EventKind.ENDED for event in tuple(self._events))

    def __bool__(self) -> bool:
        return True

    @property
    def fd(self) -> int:
        """Readable when `next(0)` has something to do: for a loop of your own. -1: this system has none."""
        return self._waits.fd

    @property
    def closed(self) -> bool:
        return self._waits.closed

    def close(self) -> None:
        """Ends the waits, without an event. Takes up to 2 seconds if some are to be withdrawn."""
        self._waits.withdraw_and_close()

    def __enter__(self) -> Waiter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Sink:
    def __init__(self, events: deque[Event], data: object) -> None:
        self.key = self.ticket = 0
        self.data = data
        self._events = events

    def take(self, event: Event) -> None:
        self._events.append(event)

    post = take
