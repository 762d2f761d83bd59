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

from ._error import MfaError
from ._handle import ClosedError
from ._values import text
from ._waits import Waits
from .answers import Transaction, TransactionState
from .asking import WaitOptions
from .cancel import CancelToken
from .events import Event, EventKind
from .exceptions import Cancelled


class Served:
    """One wait, a sink of events, and the coroutine `run`."""

    def __init__(self, waits: Waits, options: WaitOptions, close_if_idle: Callable[[], None]) -> None:
        self.key = self.ticket = 0
        self.data: object = None
        self._waits = waits
        self._options = options
        self._close_if_idle = close_if_idle
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

    def post(self, event: Event) -> None:
        raise NotImplementedError

    async def run(
        self, function: str, inputs: Sequence[object], timeout: Optional[float], cancel: Optional[CancelToken]
    ) -> Transaction:
        try:
            self._waits.add(function, inputs, self, timeout, self._options.withdraw_on_cancel)
            if cancel is not None:
                cancel.lead(self)
            return await self._serve()
        finally:
            if cancel is not None:
                cancel.lead_no_more(self)
            self._close_if_idle()

    async def _serve(self) -> Transaction:
        try:
            return await self._serve_until_ended()
        except asyncio.CancelledError as error:
            self.trigger()
            # Within 50 ms, or 2 s to withdraw; or the next cancelling.
            await self._until_ended()
            error.__cause__ = self._as_cancelled()
            raise
        except GeneratorExit:
            self.trigger()
            raise
        except BaseException:
            if self._ended is None:
                self.trigger()
                await self._until_ended()
            raise

    async def _serve_until_ended(self) -> Transaction:
        while True:
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
        if self._options.on_update is None:
            return
        self._polls_told = so_far.polls
        if is_final:
            so_far = so_far.as_state()
        if await _value(self._options.on_update(so_far)) is True:
            self.trigger()

    async def _ask_for_token(self) -> None:
        token = None
        try:
            if self._options.access_token_provider is not None:
                fresh: Any = await _value(self._options.access_token_provider())
                token = text("the token from access_token_provider", fresh)
        finally:
            with suppress(ClosedError):
                self._waits.give_token(self.ticket, token)

    async def _until_ended(self) -> None:
        while self._ended is None:
            await self._until_woken()

    def _as_cancelled(self) -> MfaError:
        """What became of it, for whoever catches the task's CancelledError."""
        ended = self._ended
        if ended is not None and isinstance(ended.error, MfaError):
            return ended.error
        answer = Cancelled("the task was cancelled when the answer had come")
        if ended is not None and ended.transaction is not None:
            answer.transaction = ended.transaction.as_state()
        return answer

    # As a sink.

    def take(self, event: Event) -> None:
        if event.kind is EventKind.ENDED:
            self._ended = event
        elif event.kind is EventKind.TOKEN_REFUSED:
            self._refused = True
        elif event.kind is EventKind.STARTED:
            self._started = event.transaction
        else:
            self._update = event.transaction
        self._wake()

    # As what a token ends.

    def trigger(self) -> None:
        with suppress(ClosedError):
            self._waits.cancel(self.ticket)


async def _value(result: Any) -> object:
    return await result if inspect.isawaitable(result) else result
