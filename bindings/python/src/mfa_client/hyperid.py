"""HyperID: asking a person on their phone, and what they can be asked with."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Any, Callable, Optional, Union

from . import _abi
from ._call import Call, callback, error_from
from ._client import Client
from ._library import library
from ._values import integer, milliseconds, struct, text
from .answers import (
    Availability,
    Transaction,
    TransactionState,
    TwoFactorTypes,
    availability_from,
    state_from,
    transaction_from,
    two_factor_types_from,
)
from .cancel import CancelToken


@dataclass(frozen=True)
class Request:
    """What to ask. A plain question needs no more than its text."""

    question: Optional[str] = None
    """The text shown to the person (template 4)."""
    code: Optional[str] = None
    """The control code that your program shows and the app shows too: see `control_code`."""
    any_code: bool = False
    """`code` may be any text, not only two digits."""
    template_id: int = 0
    """Which screen the app shows; 0: the question."""
    values_json: Optional[str] = None
    """Another template's parameters: a JSON object, in place of `question`."""
    device_id: Optional[str] = None
    """Identifies the device that the person acts from."""
    device_desc: Optional[str] = None
    """Describes that device to the person."""
    ip: Optional[str] = None
    """That device's address."""

    def _native(self) -> Any:
        return struct(
            _abi.mfa_request,
            flags=_abi.MFA_REQUEST_ANY_CODE if self.any_code else 0,
            template_id=integer("template_id", self.template_id, 32),
            question=text("question", self.question),
            values_json=text("values_json", self.values_json),
            code=text("code", self.code),
            device_id=text("device_id", self.device_id),
            device_desc=text("device_desc", self.device_desc),
            ip=text("ip", self.ip),
        )


@dataclass(frozen=True)
class WaitOptions:
    """How to wait. Seconds; None is libmfa's default.

    The callbacks run on the thread that waits, which may be a helper: that of `wait` and `confirm`
    on the main thread, and of everything awaited. What one raises ends the wait and is raised to
    the caller.
    """

    on_update: Optional[Callable[[TransactionState], object]] = None
    """Called with what is known: after each poll, and by `confirm` once as soon as the id is known
    (`polls` is 0), so that you can save the id. Return True to end the wait with `Cancelled`."""
    access_token_provider: Optional[Callable[[], Optional[str]]] = None
    """Called when the server refused the token: a fresh one, or None to give up."""
    cancel_on_timeout: bool = False
    """Before the deadline, withdraw the transaction: cancel it, and read its state once more. A
    decision read then is returned; else `CallTimeoutError` is raised, `withdrawn` where the
    provider confirmed it."""
    withdraw_on_cancel: bool = False
    """When the cancel token, `on_update`, Ctrl-C or the cancelling of the task ends the wait,
    withdraw the transaction first, within 2 seconds. With the token and `on_update`, a decision read
    then is returned; else `Cancelled` is raised, `withdrawn` where the provider confirmed it."""
    first_poll: Optional[float] = None
    """Before the first poll. None: `wait` polls at once, `confirm` after `min_interval`."""
    min_interval: Optional[float] = None
    """The least time between two polls. None: 1 second."""
    max_interval: Optional[float] = None
    """The most. None: 10 seconds, or the minimum if that is more. In between, polls come after a
    tenth of the time for which the call has known the id."""

    def _native(self) -> Any:
        wait = struct(
            _abi.mfa_wait_options,
            first_poll_ms=milliseconds("first_poll", self.first_poll),
            min_interval_ms=milliseconds("min_interval", self.min_interval),
            max_interval_ms=milliseconds("max_interval", self.max_interval),
            cancel_on_timeout=int(self.cancel_on_timeout),
            flags=_abi.MFA_WAIT_WITHDRAW_ON_CANCEL if self.withdraw_on_cancel else 0,
        )
        if self.on_update is not None:
            wait.on_update = _update_callback(self.on_update)
        if self.access_token_provider is not None:
            wait.access_token_provider = _token_callback(self.access_token_provider)
        return wait


def _update_callback(on_update: Callable[[TransactionState], object]) -> Any:
    def call(so_far: int) -> int:
        return int(on_update(state_from(_abi.mfa_transaction.from_address(so_far))) is True)

    return callback(_abi.mfa_update_fn, call, 1)


def _token_callback(provider: Callable[[], Optional[str]]) -> Any:
    # libmfa copies the token after this function has returned: it must live until then, and ctypes
    # would have freed a c_char_p by that time.
    returned: list[Any] = []

    def call() -> Optional[int]:
        token = text("the token from access_token_provider", provider())
        returned[:] = [ctypes.c_char_p(token)]
        return ctypes.cast(returned[0], ctypes.c_void_p).value

    return callback(_abi.mfa_token_fn, call, None)


def _transaction(code: int, out: Any) -> Transaction:
    return transaction_from(out, library().mfa_is_approved(code, ctypes.byref(out)))


class HyperId(Client):
    """A client for HyperID. `timeout` is the whole call's deadline in seconds."""

    _prefix = "mfa_hyperid"

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
        return await self._wait(access_token, transaction_id, wait, timeout).run_async(cancel)

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
        return await self._confirm(access_token, request, wait, timeout).run_async(cancel)

    def _availability(self, token: str, timeout: Optional[float]) -> Call[Availability]:
        return Call(
            self._open(),
            library().mfa_hyperid_availability,
            (_token(token),),
            struct(_abi.mfa_availability),
            lambda _, out: availability_from(out),
            timeout,
        )

    def _two_factor_types(self, token: str, timeout: Optional[float]) -> Call[TwoFactorTypes]:
        return Call(
            self._open(),
            library().mfa_hyperid_two_factor_types,
            (_token(token),),
            struct(_abi.mfa_two_factor_types),
            lambda _, out: two_factor_types_from(out),
            timeout,
        )

    def _start(self, token: str, request: Union[Request, str], timeout: Optional[float]) -> Call[int]:
        return Call(
            self._open(),
            library().mfa_hyperid_start,
            (_token(token), _request(request)),
            ctypes.c_int64(),
            lambda _, out: int(out.value),
            timeout,
        )

    def _status(self, token: str, transaction_id: int, timeout: Optional[float]) -> Call[Transaction]:
        return Call(
            self._open(),
            library().mfa_hyperid_status,
            (_token(token), integer("transaction_id", transaction_id, 64)),
            struct(_abi.mfa_transaction),
            _transaction,
            timeout,
        )

    def _cancel(self, token: str, transaction_id: int, timeout: Optional[float]) -> Call[None]:
        return Call(
            self._open(),
            library().mfa_hyperid_cancel,
            (_token(token), integer("transaction_id", transaction_id, 64)),
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
            (_token(token), integer("transaction_id", transaction_id, 64), _wait_options(wait)),
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
            (_token(token), _request(request), _wait_options(wait)),
            struct(_abi.mfa_transaction),
            _transaction,
            timeout,
            waits=True,
        )


def _token(token: str) -> Optional[bytes]:
    return text("access_token", token)


def _request(request: Union[Request, str]) -> Any:
    return ctypes.byref((Request(request) if isinstance(request, str) else request)._native())


def _wait_options(wait: Optional[WaitOptions]) -> Any:
    return None if wait is None else ctypes.byref(wait._native())


def control_code() -> str:
    """Two random digits to show beside the question and to pass as `Request.code`."""
    out = ctypes.create_string_buffer(3)
    err = struct(_abi.mfa_error)
    code = library().mfa_control_code(out, len(out), ctypes.byref(err))
    if code != _abi.MFA_OK:
        raise error_from(code, err)
    return out.value.decode()
