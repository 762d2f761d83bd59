"""HyperID: asking a person on their phone, and what they can be asked with."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any, Optional, Union

from . import _abi
from ._awaited import Awaited, Loops
from ._call import Call, error_from, under_way
from ._client import Client
from ._green import Hubs, InGreenlet, is_green
from ._handle import Handle
from ._library import library
from ._values import struct
from .answers import (
    Availability,
    Transaction,
    TwoFactorTypes,
    availability_from,
    transaction_from,
    two_factor_types_from,
)
from .asking import (
    AwaitedOnUpdate,
    AwaitedRefreshToken,
    OnUpdate,
    RefreshToken,
    Request,
    Waiting,
    WaitOptions,
    confirm_inputs,
    known_inputs,
    token_input,
)
from .cancel import CancelToken
from .cancel import token as _token
from .waiter import Waiter


def _transaction(code: int, out: Any) -> Transaction:
    return transaction_from(out, library().mfa_is_approved(code, ctypes.byref(out)))


class HyperId(Client):
    """A client for HyperID. `timeout` is the whole call's deadline in seconds."""

    _prefix = "mfa_hyperid"
    _loops: Optional[Loops] = None
    _hubs: Optional[Hubs] = None

    def availability(
        self, access_token: str, *, timeout: Optional[float] = None, cancel: Optional[CancelToken] = None
    ) -> Availability:
        """Asks whether the person has linked the authenticator app, and so may be asked."""
        return self._availability(access_token, timeout).run(_token(cancel))

    async def availability_async(
        self, access_token: str, *, timeout: Optional[float] = None, cancel: Optional[CancelToken] = None
    ) -> Availability:
        """As `availability`, awaited. Cancelling the task ends the call."""
        return await self._availability(access_token, timeout).run_async(_token(cancel))

    def two_factor_types(
        self, access_token: str, *, timeout: Optional[float] = None, cancel: Optional[CancelToken] = None
    ) -> TwoFactorTypes:
        """Asks which second factors the person has set up."""
        return self._two_factor_types(access_token, timeout).run(_token(cancel))

    async def two_factor_types_async(
        self, access_token: str, *, timeout: Optional[float] = None, cancel: Optional[CancelToken] = None
    ) -> TwoFactorTypes:
        """As `two_factor_types`, awaited. Cancelling the task ends the call."""
        return await self._two_factor_types(access_token, timeout).run_async(_token(cancel))

    def start(
        self,
        access_token: str,
        request: Union[Request, str],
        *,
        timeout: Optional[float] = None,
        cancel: Optional[CancelToken] = None,
    ) -> int:
        """Asks the person, and returns the transaction's id. Never repeated by itself."""
        return self._start(access_token, request, timeout).run(_token(cancel))

    async def start_async(
        self,
        access_token: str,
        request: Union[Request, str],
        *,
        timeout: Optional[float] = None,
        cancel: Optional[CancelToken] = None,
    ) -> int:
        """As `start`, awaited. Of a cancelled task `outcome_of(error)` tells the id, or that it is not known."""
        return await self._start(access_token, request, timeout).run_async(_token(cancel))

    def status(
        self,
        access_token: str,
        transaction_id: int,
        *,
        timeout: Optional[float] = None,
        cancel: Optional[CancelToken] = None,
    ) -> Transaction:
        """Reads a transaction's state once."""
        return self._status(access_token, transaction_id, timeout).run(_token(cancel))

    async def status_async(
        self,
        access_token: str,
        transaction_id: int,
        *,
        timeout: Optional[float] = None,
        cancel: Optional[CancelToken] = None,
    ) -> Transaction:
        """As `status`, awaited. Cancelling the task ends the call."""
        return await self._status(access_token, transaction_id, timeout).run_async(_token(cancel))

    def cancel(
        self,
        access_token: str,
        transaction_id: int,
        *,
        timeout: Optional[float] = None,
        cancel: Optional[CancelToken] = None,
    ) -> None:
        """Cancels a transaction. `AlreadyCompletedError`: the person answered first; read the status."""
        self._cancel(access_token, transaction_id, timeout).run(_token(cancel))

    async def cancel_async(
        self,
        access_token: str,
        transaction_id: int,
        *,
        timeout: Optional[float] = None,
        cancel: Optional[CancelToken] = None,
    ) -> None:
        """As `cancel`, awaited. Cancelling the task ends the call; the transaction may be cancelled all the same."""
        await self._cancel(access_token, transaction_id, timeout).run_async(_token(cancel))

    def wait(
        self,
        access_token: str,
        transaction_id: int,
        *,
        wait: Optional[WaitOptions] = None,
        on_update: Optional[OnUpdate] = None,
        refresh_access_token: Optional[RefreshToken] = None,
        timeout: Optional[float] = None,
        cancel: Optional[CancelToken] = None,
    ) -> Transaction:
        """Waits until the person has answered. Test `.approved` of what it returns.

        on_update: called with what is known, after each poll, and by `confirm` once as soon as the id is known
            (`polls` is 0), so that you can save the id. Return `END_WAIT` to end the wait with `Cancelled`.
        refresh_access_token: called when the server refused the token. It returns a fresh one of the same person,
            or None to give up. One that is refused, too, ends the wait.

        Both are called on the thread that waits: a helper, if the call is made on the main thread. What one
        raises ends the wait and is raised here.

        What this raises has the id and the last state in `.transaction`. Ctrl-C ends it, too, and
        `outcome_of(error)` says what became of it. The transaction goes on then, unless
        `WaitOptions.withdraw_on_cancel` is set.
        """
        waiting = Waiting(wait, on_update, refresh_access_token).blocking()
        inputs = known_inputs(access_token, transaction_id)
        if is_green() and not under_way.over:
            return self._in_greenlet("mfa_waiter_wait", inputs, waiting, timeout, cancel)
        return self._waits("mfa_hyperid_wait", inputs, waiting, timeout).run_interruptibly(_token(cancel))

    async def wait_async(
        self,
        access_token: str,
        transaction_id: int,
        *,
        wait: Optional[WaitOptions] = None,
        on_update: Optional[AwaitedOnUpdate] = None,
        refresh_access_token: Optional[AwaitedRefreshToken] = None,
        timeout: Optional[float] = None,
        cancel: Optional[CancelToken] = None,
    ) -> Transaction:
        """As `wait`, without a thread. The callbacks run in the task that awaits this, and may be coroutine
        functions; they must not block.

        Of a cancelled task `outcome_of(error)` tells what became of the wait."""
        waiting = Waiting(wait, on_update, refresh_access_token)
        inputs = known_inputs(access_token, transaction_id)
        if under_way.over:
            return self._waits("mfa_hyperid_wait", inputs, waiting.blocking(), timeout).run(_token(cancel))
        return await self._awaited("mfa_waiter_wait", inputs, waiting, timeout, cancel)

    def confirm(
        self,
        access_token: str,
        request: Union[Request, str],
        *,
        wait: Optional[WaitOptions] = None,
        on_update: Optional[OnUpdate] = None,
        refresh_access_token: Optional[RefreshToken] = None,
        timeout: Optional[float] = None,
        cancel: Optional[CancelToken] = None,
    ) -> Transaction:
        """Checks that the person may be asked, asks, and waits, under one deadline. Otherwise as `wait`."""
        waiting = Waiting(wait, on_update, refresh_access_token).blocking()
        inputs = confirm_inputs(access_token, request)
        if is_green() and not under_way.over:
            return self._in_greenlet("mfa_waiter_confirm", inputs, waiting, timeout, cancel)
        return self._waits("mfa_hyperid_confirm", inputs, waiting, timeout).run_interruptibly(_token(cancel))

    async def confirm_async(
        self,
        access_token: str,
        request: Union[Request, str],
        *,
        wait: Optional[WaitOptions] = None,
        on_update: Optional[AwaitedOnUpdate] = None,
        refresh_access_token: Optional[AwaitedRefreshToken] = None,
        timeout: Optional[float] = None,
        cancel: Optional[CancelToken] = None,
    ) -> Transaction:
        """As `confirm`, without a thread; otherwise as `wait_async`. A task that is cancelled while the person is
        being asked may leave `outcome_unknown`: see `outcome_of`."""
        waiting = Waiting(wait, on_update, refresh_access_token)
        inputs = confirm_inputs(access_token, request)
        if under_way.over:
            return self._waits("mfa_hyperid_confirm", inputs, waiting.blocking(), timeout).run(_token(cancel))
        return await self._awaited("mfa_waiter_confirm", inputs, waiting, timeout, cancel)

    async def _awaited(
        self,
        function: str,
        inputs: Sequence[object],
        waiting: Waiting,
        timeout: Optional[float],
        cancel: Optional[CancelToken],
    ) -> Transaction:
        client = self._open_with(cancel)
        self._loops = loops = self._loops or Loops()
        return await Awaited(loops, client, waiting).run(function, inputs, timeout, cancel)

    def _in_greenlet(
        self,
        function: str,
        inputs: Sequence[object],
        waiting: Waiting,
        timeout: Optional[float],
        cancel: Optional[CancelToken],
    ) -> Transaction:
        client = self._open_with(cancel)
        self._hubs = hubs = self._hubs or Hubs()
        return InGreenlet(hubs, client, waiting).call(function, inputs, timeout, cancel)

    def _open_with(self, cancel: Optional[CancelToken]) -> Handle:
        cancel = _token(cancel)
        if cancel is not None:
            cancel._open()
        return self._open()

    def waiter(self, *, max_connections: int = 0, max_requests_per_second: int = 0) -> Waiter:
        """Waits for many people on one thread, without asyncio.

        max_connections: open at once; 0: 256.
        max_requests_per_second: all its waits together; 0: no limit.
        """
        return Waiter(self._open(), max_connections, max_requests_per_second)

    def _availability(self, token: str, timeout: Optional[float]) -> Call[Availability]:
        return Call(
            self._open(),
            library().mfa_hyperid_availability,
            (token_input(token),),
            struct(_abi.mfa_availability),
            lambda _, out: availability_from(out),
            timeout,
        )

    def _two_factor_types(self, token: str, timeout: Optional[float]) -> Call[TwoFactorTypes]:
        return Call(
            self._open(),
            library().mfa_hyperid_two_factor_types,
            (token_input(token),),
            struct(_abi.mfa_two_factor_types),
            lambda _, out: two_factor_types_from(out),
            timeout,
        )

    def _start(self, token: str, request: Union[Request, str], timeout: Optional[float]) -> Call[int]:
        return Call(
            self._open(),
            library().mfa_hyperid_start,
            confirm_inputs(token, request),
            ctypes.c_int64(),
            lambda _, out: int(out.value),
            timeout,
            asks=True,
        )

    def _status(self, token: str, transaction_id: int, timeout: Optional[float]) -> Call[Transaction]:
        return Call(
            self._open(),
            library().mfa_hyperid_status,
            known_inputs(token, transaction_id),
            struct(_abi.mfa_transaction),
            _transaction,
            timeout,
        )

    def _cancel(self, token: str, transaction_id: int, timeout: Optional[float]) -> Call[None]:
        return Call(
            self._open(),
            library().mfa_hyperid_cancel,
            known_inputs(token, transaction_id),
            None,
            lambda _, out: None,
            timeout,
        )

    def _waits(
        self, function: str, inputs: Sequence[object], waiting: Waiting, timeout: Optional[float]
    ) -> Call[Transaction]:
        return Call(
            self._open(),
            getattr(library(), function),
            (*inputs, waiting.with_callbacks()),
            struct(_abi.mfa_transaction),
            _transaction,
            timeout,
            waits=True,
        )


def control_code() -> str:
    """Two random digits to show beside the question and to pass as `Request.code`."""
    out = ctypes.create_string_buffer(3)
    err = struct(_abi.mfa_error)
    code = library().mfa_control_code(out, len(out), ctypes.byref(err))
    if code != _abi.MFA_OK:
        raise error_from(code, err)
    return out.value.decode()
