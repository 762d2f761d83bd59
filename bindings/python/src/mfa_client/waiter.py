"""Many people at once, for programs without asyncio."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Optional, Union

from ._error import MfaError
from ._handle import Handle, Uncopied
from ._values import boolean, check_seconds, integer, text
from ._waits import Inbox, Waits
from .asking import RefreshToken, Request, Waiting, WaitOptions, confirm_inputs, fresh_token, known_inputs, with_events
from .events import Event, EventKind
from .exceptions import ClosedError, InvalidArgumentError


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
        self._events: Inbox[tuple[_Sink, Event]] = Inbox()
        self._woken = False

    def confirm(
        self,
        access_token: str,
        request: Union[Request, str],
        *,
        data: object = None,
        wait: Optional[WaitOptions] = None,
        refresh_access_token: Optional[RefreshToken] = None,
        timeout: Optional[float] = None,
        report_updates: bool = False,
        ask_for_token: bool = False,
    ) -> int:
        """Adds what `HyperId.confirm` does, and returns its ticket. `timeout` counts from now.

        data: anything; each event of this wait has it.
        refresh_access_token: called when the server refused the token, by whoever takes the events: it returns a
            fresh one of the same person, or None to give up. What it raises ends the wait, and is the
            `__cause__` of its error.
        report_updates: events of the kind UPDATE, too.
        ask_for_token: an event of the kind TOKEN_REFUSED in place of a call; see `give_token`. With neither, a
            refused token ends the wait.
        """
        inputs = confirm_inputs(access_token, request)
        sink = _Sink(self._events, data, Waiting(wait, None, refresh_access_token).blocking())
        return self._add("mfa_waiter_confirm", inputs, sink, timeout, report_updates, ask_for_token)

    def wait(
        self,
        access_token: str,
        transaction_id: int,
        *,
        data: object = None,
        wait: Optional[WaitOptions] = None,
        refresh_access_token: Optional[RefreshToken] = None,
        timeout: Optional[float] = None,
        report_updates: bool = False,
        ask_for_token: bool = False,
    ) -> int:
        """Adds what `HyperId.wait` does; otherwise as `confirm`."""
        inputs = known_inputs(access_token, transaction_id)
        sink = _Sink(self._events, data, Waiting(wait, None, refresh_access_token).blocking())
        return self._add("mfa_waiter_wait", inputs, sink, timeout, report_updates, ask_for_token)

    def _add(
        self,
        function: str,
        inputs: Sequence[object],
        sink: _Sink,
        timeout: Optional[float],
        report_updates: bool,
        ask_for_token: bool,
    ) -> int:
        options, refreshes = sink.waiting.options, sink.waiting.refresh_access_token is not None
        if boolean("ask_for_token", ask_for_token) and refreshes:
            raise InvalidArgumentError("refresh_access_token and ask_for_token exclude each other")
        asks = with_events(options, boolean("report_updates", report_updates), ask_for_token or refreshes)
        self._waits.add(function, (*inputs, asks), sink, timeout, options.withdraw_on_cancel)
        return sink.ticket

    def cancel(self, ticket: int, *, withdraw: bool = False) -> None:
        """Ends a wait: its last event says `Cancelled`, unless a final answer was there. One that has ended
        is left alone. withdraw: as `WaitOptions.withdraw_on_cancel`. What nobody waits for is taken back by
        `wait`, and at once `cancel(..., withdraw=True)`."""
        self._waits.cancel(integer("ticket", ticket, 65, 0), boolean("withdraw", withdraw))

    def cancel_all(self, *, withdraw: bool = False) -> None:
        """Ends all waits."""
        self._waits.cancel_all(boolean("withdraw", withdraw))

    def give_token(self, ticket: int, access_token: Optional[str]) -> None:
        """After TOKEN_REFUSED: a fresh token of the same person, or None to give up. One that is refused, too,
        ends the wait."""
        self._waits.give_token(integer("ticket", ticket, 65, 0), text("access_token", access_token))

    def wake(self) -> None:
        """Ends the `next` under way with None, else the next one to begin. From any thread."""
        self._woken = True
        self._waits.wake()

    def next(self, timeout: Optional[float] = None) -> Optional[Event]:
        """The next event; None: so many seconds have passed, or somebody called `wake`."""
        if timeout is not None:
            check_seconds("timeout", timeout)
            if timeout < 0:
                raise InvalidArgumentError("timeout is below 0")
        latest = None if timeout is None else time.monotonic() + timeout
        while True:
            # A turn that was interrupted comes first, since its wait may not have been counted off yet.
            came = None if self._waits.was_interrupted else self._events.take()
            turned = came is not None or self._waits.turn()
            came = came or self._events.take()
            if came is not None and not self._is_refreshed(*came):
                self._woken = False
                return came[1]
            is_over = latest is not None and time.monotonic() >= latest
            if self._woken or (is_over and not turned):
                self._woken = False
                return None
            if not turned:
                self._waits.wait_until_ready(latest)

    def _is_refreshed(self, sink: _Sink, event: Event) -> bool:
        """Whether the event is not for the program, which gave a function for it."""
        refresh = sink.waiting.refresh_access_token
        if event.kind is not EventKind.TOKEN_REFUSED or refresh is None:
            return False
        token = None
        try:
            token = fresh_token(refresh())
        except Exception as error:
            sink.why = error
        finally:
            with suppress(ClosedError):
                self._answer(sink, event.ticket, token)
        return True

    def _answer(self, sink: _Sink, ticket: int, token: Optional[bytes]) -> None:
        """One person's token that libmfa cannot use ends that person's wait, not the taking of events."""
        try:
            self._waits.give_token(ticket, token)
        except MfaError as error:
            sink.why = error
            self._waits.give_token(ticket, None)

    def __iter__(self) -> Iterator[Event]:
        """The events, until no wait is left. Waits may be added meanwhile."""
        while len(self):
            event = self.next()
            if event is not None:
                yield event

    def __len__(self) -> int:
        """The waits that were added, and whose last event was not taken yet."""
        return len(self._waits) + sum(event.kind is EventKind.ENDED for _, event in self._events)

    def __repr__(self) -> str:
        return f"<Waiter {'closed' if self.closed else f'open, {len(self)} waits'}>"

    def __bool__(self) -> bool:
        return True

    @property
    def fd(self) -> int:
        """Readable when `next(0)` has something to do: for a loop of your own. -1: this system has none."""
        return self._waits.fd

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._waits.closed

    def close(self) -> None:
        """Ends the waits, without an event. Takes up to 2 seconds if some are to be withdrawn."""
        self._waits.withdraw_and_close()

    def __enter__(self) -> Waiter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Sink:
    def __init__(self, events: Inbox[tuple[_Sink, Event]], data: object, waiting: Waiting) -> None:
        self.key = self.ticket = 0
        self.data = data
        self.waiting = waiting
        self._events = events
        self.why: Optional[Exception] = None  # There is no fresh token.

    def take(self, number: int, event: Event) -> None:
        if event.error is not None and self.why is not None:
            event.error.__cause__ = self.why
        self._events.put(number, (self, event))

    post = take
