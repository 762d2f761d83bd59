"""What a person can be asked with, and how to wait for the answer."""

from __future__ import annotations

import ctypes
import inspect
from collections.abc import Awaitable
from dataclasses import dataclass, replace
from typing import Any, Callable, Optional, Union

from . import _abi
from ._call import callback
from ._values import integer, milliseconds, struct, text
from .answers import TransactionState, state_from


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

    The callbacks of an awaited call run in the task that awaits it: they may be coroutine functions, and
    must not block. Those of `wait` and `confirm` run on the thread that waits, which is a helper if they
    are called on the main thread. What one raises ends the wait and is raised to the caller.
    """

    on_update: Optional[Callable[[TransactionState], object]] = None
    """Called with what is known: after each poll, and by `confirm` once as soon as the id is known
    (`polls` is 0), so that you can save the id. Return True to end the wait with `Cancelled`."""
    access_token_provider: Optional[Callable[[], Union[Optional[str], Awaitable[Optional[str]]]]] = None
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
        wait, plain = self._plain(), self._blocking()
        if plain.on_update is not None:
            wait.on_update = _update_callback(plain.on_update)
        if plain.access_token_provider is not None:
            wait.access_token_provider = _token_callback(plain.access_token_provider)
        return wait

    def _blocking(self) -> WaitOptions:
        """For a call that is not awaited."""
        return replace(
            self,
            on_update=_blocking("on_update", self.on_update),
            access_token_provider=_blocking("access_token_provider", self.access_token_provider),
        )

    def _for_events(self) -> Any:
        """With events in place of callbacks."""
        return self._with_events(self.on_update is not None, self.access_token_provider is not None)

    def _with_events(self, report_updates: bool, ask_for_token: bool) -> Any:
        wait = self._plain()
        wait.flags |= _abi.MFA_WAIT_REPORT_UPDATES if report_updates else 0
        wait.flags |= _abi.MFA_WAIT_ASK_FOR_TOKEN if ask_for_token else 0
        return wait

    def _plain(self) -> Any:
        return struct(
            _abi.mfa_wait_options,
            first_poll_ms=milliseconds("first_poll", self.first_poll),
            min_interval_ms=milliseconds("min_interval", self.min_interval),
            max_interval_ms=milliseconds("max_interval", self.max_interval),
            cancel_on_timeout=int(self.cancel_on_timeout),
            flags=_abi.MFA_WAIT_WITHDRAW_ON_CANCEL if self.withdraw_on_cancel else 0,
        )


def _blocking(name: str, function: Optional[Callable[..., Any]]) -> Optional[Callable[..., Any]]:
    """Nobody would await what a coroutine function returns to a call that is not awaited itself."""
    if function is None:
        return None
    refusal = f"{name} is a coroutine function, which only an awaited call can use"
    if inspect.iscoroutinefunction(function):
        raise TypeError(refusal)

    def call(*arguments: object) -> Any:
        result = function(*arguments)
        if inspect.iscoroutine(result):
            result.close()
            raise TypeError(refusal)
        return result

    return call


def _update_callback(on_update: Callable[[TransactionState], object]) -> Any:
    def call(so_far: int) -> int:
        return int(on_update(state_from(_abi.mfa_transaction.from_address(so_far))) is True)

    return callback(_abi.mfa_update_fn, call, 1)


def _token_callback(provider: Callable[[], Any]) -> Any:
    # libmfa copies the token after this function has returned: it must live until then, and ctypes
    # would have freed a c_char_p by that time.
    returned: list[Any] = []

    def call() -> Optional[int]:
        token = text("the token from access_token_provider", provider())
        returned[:] = [ctypes.c_char_p(token)]
        return ctypes.cast(returned[0], ctypes.c_void_p).value

    return callback(_abi.mfa_token_fn, call, None)


# As the native functions take them.


def token_input(token: str) -> Optional[bytes]:
    return text("access_token", token)


def confirm_inputs(token: str, request: Union[Request, str]) -> tuple[object, ...]:
    asked = Request(request) if isinstance(request, str) else request
    return token_input(token), ctypes.byref(asked._native())


def known_inputs(token: str, transaction_id: int) -> tuple[object, ...]:
    return token_input(token), integer("transaction_id", transaction_id, 64)


def wait_input(wait: Optional[WaitOptions]) -> Any:
    return None if wait is None else ctypes.byref(wait._native())
