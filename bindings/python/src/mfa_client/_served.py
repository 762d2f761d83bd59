"""What a wait on a waiter is to the one who called: its callbacks, its token, its end.

Written once, as a coroutine, for those who await it (`_awaited`) and for greenlets (`_green`). The
callbacks run in it, and so where the call was made.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Callable, Optional

from . import _abi
from ._call import answered, error_of, left_under_way
from ._error import MfaError, shortened, tell
from ._waits import Inbox, Waits
from .answers import Transaction, TransactionState
from .asking import END_WAIT, Waiting, fresh_token
from .cancel import CancelToken
from .events import Event, EventKind
from .exceptions import ClosedError


class Served:
    """One wait, a sink of events, and the coroutine `run`."""

    def __init__(self, waits: Waits, waiting: Waiting, close_if_idle: Callable[[], None]) -> None:
        self.key = self.ticket = 0
        self.data: object = None
        self._waits = waits
        self._waiting = waiting
        self._close_if_idle = close_if_idle
        self._inbox: Inbox[Event] = Inbox()
        self._known: Optional[TransactionState] = None
        # What the caller has not been told yet. Of two updates the newer one counts.
        self._started: Optional[TransactionState] = None
        self._update: Optional[TransactionState] = None
        self._refused = False
        self._ended: Optional[Event] = None
        self._polls_told = -1

    async def _until_woken(self) -> None:
        """Until the next `_wake`."""
        raise NotImplementedError

    def _wake(self) -> None:
        raise NotImplementedError

    def post(self, number: int, event: Event) -> None:
        raise NotImplementedError

    async def run(
        self, function: str, inputs: Sequence[object], timeout: Optional[float], cancel: Optional[CancelToken]
    ) -> Transaction:
        try:
            # Before a thread that drives the waits could begin: nobody is to be asked any more.
            if cancel is not None and cancel.triggered:
                raise error_of(_abi.MFA_ERR_CANCELLED, "cancelled before the call was made")
            withdraws = self._waiting.options.withdraw_on_cancel
            self._waits.add(function, (*inputs, self._waiting.with_events()), self, timeout, withdraws)
            if cancel is not None:
                cancel._lead(self)
            return await self._serve()
        except BaseException as error:
            if self._ended is not None and error is self._ended.error:
                raise error.with_traceback(None)  # Where in here it comes from is of no use to anybody.
            raise shortened(error)
        finally:
            if cancel is not None:
                cancel._lead_no_more(self)
            self._close_if_idle()

    async def _serve(self) -> Transaction:
        try:
            return await self._serve_until_ended()
        except GeneratorExit:
            self.trigger()
            raise
        except BaseException as error:
            if self._ended is None or error is not self._ended.error:
                await self._end(error)
            raise

    async def _end(self, error: BaseException) -> None:
        """Within 50 ms, or 2 s to withdraw; or the next cancelling."""
        try:
            if self._ended is None:
                self.trigger()
                await self._until_ended()
        except BaseException as again:
            tell(again, self._outcome())
            raise
        tell(error, self._outcome())

    async def _serve_until_ended(self) -> Transaction:
        while True:
            self._look()
            if self._started is not None:
                so_far, self._started = self._started, None
                await self._tell(so_far)
            elif self._update is not None:
                so_far, self._update = self._update, None
                await self._tell(so_far)
            elif self._ended is not None:
                return await self._result(self._ended)
            elif self._refused:
                self._refused = False
                await self._ask_for_token()
            else:
                await self._until_woken()

    async def _result(self, ended: Event) -> Transaction:
        transaction = ended.transaction
        if ended.error is None and transaction is not None and transaction.polls > self._polls_told:
            await self._tell(transaction, is_final=True)
        return ended.result()

    async def _tell(self, so_far: TransactionState, is_final: bool = False) -> None:
        if self._waiting.on_update is None:
            return
        self._polls_told = so_far.polls
        if is_final:
            so_far = so_far.as_state()
        if await _value(self._waiting.on_update(so_far)) is END_WAIT:
            self.trigger()

    async def _ask_for_token(self) -> None:
        token = None
        try:
            if self._waiting.refresh_access_token is not None:
                token = fresh_token(await _value(self._waiting.refresh_access_token()))
        finally:
            with suppress(ClosedError):
                self._waits.give_token(self.ticket, token)

    async def _until_ended(self) -> None:
        while True:
            self._look()
            if self._ended is not None:
                return
            await self._until_woken()

    def _outcome(self) -> MfaError:
        """What became of it, for whoever does not get what it returned or raised."""
        ended = self._ended
        if ended is None:
            outcome = left_under_way()
            outcome.transaction, outcome.outcome_unknown = self._known, self._known is None
            return outcome
        if ended.error is not None:
            return ended.error
        return answered(None if ended.transaction is None else ended.transaction.as_state())

    def _look(self) -> None:
        """What has come."""
        while (event := self._inbox.take()) is not None:
            self._known = self._known if event.transaction is None else event.transaction
            if event.kind is EventKind.ENDED:
                self._ended = event
            elif event.kind is EventKind.TOKEN_REFUSED:
                self._refused = True
            elif event.kind is EventKind.STARTED:
                self._started = event.transaction
            else:
                self._update = event.transaction

    # As a sink.

    def take(self, number: int, event: Event) -> None:
        self._inbox.put(number, event)
        self._wake()

    # As what a token ends.

    def trigger(self) -> None:
        with suppress(ClosedError):
            self._waits.cancel(self.ticket)


async def _value(result: Any) -> object:
    return await result if inspect.isawaitable(result) else result
