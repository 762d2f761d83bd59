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
from .asking import Request as Request
from .asking import WaitOptions as WaitOptions
from .asking import confirm_inputs, known_inputs, token_input, wait_input
from .cancel import CancelToken
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
        return self._availability(access_token, timeout).run(cancel)

    async def availability_async(
        self, access_token: str, *, timeout: Optional[float] = None, cancel: Optional[CancelToken] = None
    ) -> Availability:
        return await self._availability(access_token, timeout).run_async(cancel)

    def two_factor_types(
        self, access_token: str, *, timeout: Optional[float] = None, cancel: Optional[CancelToken] = None
    ) -> TwoFactorTypes:
        """Asks which second factors the person has set up."""
        return self._two_factor_types(access_token, timeout).run(cancel)

    async def two_factor_types_async(
        self, access_token: str, *, timeout: Optional[float] = None, cancel: Optional[CancelToken] = None
    ) -> TwoFactorTypes:
        return await self._two_factor_types(access_token, timeout).run_async(cancel)

    def start(
        self,
        access_token: str,
        request: Union[Request, str],
        *,
        timeout: Optional[float] = None,
        cancel: Optional[CancelToken] = None,
    ) -> int:
        """Asks the person, and returns the transaction's id. Never repeated by itself."""
        return self._start(access_token, request, timeout).run(cancel)

    async def start_async(
        self,
        access_token: str,
        request: Union[Request, str],
        *,
        timeout: Optional[float] = None,
        cancel: Optional[CancelToken] = None,
    ) -> int:
        return await self._start(access_token, request, timeout).run_async(cancel)

    def status(
        self,
        access_token: str,
        transaction_id: int,
        *,
        timeout: Optional[float] = None,
        cancel: Optional[CancelToken] = None,
    ) -> Transaction:
        """Reads a transaction's state once."""
        return self._status(access_token, transaction_id, timeout).run(cancel)

    async def status_async(
        self,
        access_token: str,
        transaction_id: int,
        *,
        timeout: Optional[float] = None,
        cancel: Optional[CancelToken] = None,
    ) -> Transaction:
        return await self._status(access_token, transaction_id, timeout).run_async(cancel)

    def cancel(
        self,
        access_token: str,
        transaction_id: int,
        *,
        timeout: Optional[float] = None,
        cancel: Optional[CancelToken] = None,
    ) -> None:
        """Cancels a transaction. `AlreadyCompletedError`: the person answered first; read the status."""
        self._cancel(access_token, transaction_id, timeout).run(cancel)

    async def cancel_async(
        self,
        access_token: str,
        transaction_id: int,
        *,
        timeout: Optional[float] = None,
        cancel: Optional[CancelToken] = None,
    ) -> None:
        await self._cancel(access_token, transaction_id, timeout).run_async(cancel)

    def wait(
        self,
        access_token: str,
        transaction_id: int,
        *,
        wait: Optional[WaitOptions] = None,
        timeout: Optional[float] = None,
        cancel: Optional[CancelToken] = None,
    ) -> Transaction:
        """Waits until the person has answered. Test `.approved` of what it returns.

        What it raises has the id and the last state in `.transaction`. Ctrl-C ends it, too. The
        transaction goes on then, unless `WaitOptions.withdraw_on_cancel` is set.
        """
        if is_green() and not under_way.over:
            inputs = known_inputs(access_token, transaction_id)
            return self._in_greenlet("mfa_waiter_wait", inputs, wait, timeout, cancel)
        return self._wait(access_token, transaction_id, wait, timeout).run_interruptibly(cancel)

    async def wait_async(
        self,
        access_token: str,
        transaction_id: int,
        *,
        wait: Optional[WaitOptions] = None,
        timeout: Optional[float] = None,
        cancel: Optional[CancelToken] = None,
    ) -> Transaction:
        """As `wait`, without a thread. A CancelledError has what became of the wait as its `__cause__`."""
        if under_way.over:
            return self.wait(access_token, transaction_id, wait=wait, timeout=timeout, cancel=cancel)
        return await self._awaited("mfa_waiter_wait", known_inputs(access_token, transaction_id), wait, timeout, cancel)

    def confirm(
        self,
        access_token: str,
        request: Union[Request, str],
        *,
        wait: Optional[WaitOptions] = None,
        timeout: Optional[float] = None,
        cancel: Optional[CancelToken] = None,
    ) -> Transaction:
        """Checks that the person may be asked, asks, and waits, under one deadline. Otherwise as `wait`."""
        if is_green() and not under_way.over:
            inputs = confirm_inputs(access_token, request)
            return self._in_greenlet("mfa_waiter_confirm", inputs, wait, timeout, cancel)
        return self._confirm(access_token, request, wait, timeout).run_interruptibly(cancel)

    async def confirm_async(
        self,
        access_token: str,
        request: Union[Request, str],
        *,
        wait: Optional[WaitOptions] = None,
        timeout: Optional[float] = None,
        cancel: Optional[CancelToken] = None,
    ) -> Transaction:
        """As `confirm`, without a thread. A CancelledError has what became of the wait as its `__cause__`:
        `transaction` (the id), `outcome_unknown`, `withdrawn`."""
        if under_way.over:
            return self.confirm(access_token, request, wait=wait, timeout=timeout, cancel=cancel)
        return await self._awaited("mfa_waiter_confirm", confirm_inputs(access_token, request), wait, timeout, cancel)

    async def _awaited(
        self,
        function: str,
        inputs: Sequence[object],
        wait: Optional[WaitOptions],
        timeout: Optional[float],
        cancel: Optional[CancelToken],
    ) -> Transaction:
        client = self._open_with(cancel)
        options = wait or WaitOptions()
        self._loops = loops = self._loops or Loops()
        inputs = (*inputs, ctypes.byref(options._for_events()))
        return await Awaited(loops, client, options).run(function, inputs, timeout, cancel)

    def _in_greenlet(
        self,
        function: str,
        inputs: Sequence[object],
        wait: Optional[WaitOptions],
        timeout: Optional[float],
        cancel: Optional[CancelToken],
    ) -> Transaction:
        client = self._open_with(cancel)
        options = (wait or WaitOptions())._blocking()
        self._hubs = hubs = self._hubs or Hubs()
        inputs = (*inputs, ctypes.byref(options._for_events()))
        return InGreenlet(hubs, client, options).call(function, inputs, timeout, cancel)

    def _open_with(self, cancel: Optional[CancelToken]) -> Handle:
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

    def _wait(
        self, token: str, transaction_id: int, wait: Optional[WaitOptions], timeout: Optional[float]
    ) -> Call[Transaction]:
        return Call(
            self._open(),
            library().mfa_hyperid_wait,
            (*known_inputs(token, transaction_id), wait_input(wait)),
            struct(_abi.mfa_transaction),
            _transaction,
            timeout,
            waits=True,
        )

    def _confirm(
        self, token: str, request: Union[Request, str], wait: Optional[WaitOptions], timeout: Optional[float]
    ) -> Call[Transaction]:
        return Call(
            self._open(),
            library().mfa_hyperid_confirm,
            (*confirm_inputs(token, request), wait_input(wait)),
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
