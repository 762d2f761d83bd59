"""What a person can be asked with, how to wait for the answer, and who is told of it meanwhile."""

from __future__ import annotations

import ctypes
import enum
import inspect
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any, Callable, Optional, Union

from . import _abi
from ._call import callback
from ._values import boolean, function, instance, integer, milliseconds, required_text, struct, text
from .answers import TransactionState, state_from


class EndWait(enum.Enum):
    """What `on_update` returns to end the wait. Nothing else does, whatever its truth value."""

    END_WAIT = "end the wait"
    """The only value; `mfa_client.END_WAIT` is the same."""


END_WAIT = EndWait.END_WAIT
"""Returned by `on_update`, it ends the wait."""

OnUpdate = Callable[[TransactionState], Optional[EndWait]]
"""What is told of the wait; of a call that is not awaited: a coroutine function would never be awaited either."""
AwaitedOnUpdate = Callable[[TransactionState], Union[Optional[EndWait], Awaitable[Optional[EndWait]]]]
"""What is told of an awaited wait: a plain function or a coroutine function."""
RefreshToken = Callable[[], Optional[str]]
"""What returns a fresh token of the same person, or None to give up."""
AwaitedRefreshToken = Callable[[], Union[Optional[str], Awaitable[Optional[str]]]]
"""The same for an awaited call: a plain function or a coroutine function."""


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
            flags=_abi.MFA_REQUEST_ANY_CODE if boolean("any_code", self.any_code) else 0,
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
    """How to wait. Seconds; None is libmfa's default. Calls may share one: it holds nothing of a person's."""

    cancel_on_timeout: bool = False
    """Before the deadline, withdraw the transaction: cancel it, and read its state once more. A
    decision read then is returned; else `CallTimeoutError` is raised, `withdrawn` where the
    provider confirmed it."""
    withdraw_on_cancel: bool = False
    """When the cancel token, a callback, Ctrl-C or the cancelling of the task ends the wait,
    withdraw the transaction first, within 2 seconds. With the token and `END_WAIT`, a decision read
    then is returned; else `Cancelled` is raised, `withdrawn` where the provider confirmed it."""
    first_poll: Optional[float] = None
    """Before the first poll. None: `wait` polls at once, `confirm` after `min_interval`."""
    min_interval: Optional[float] = None
    """The least time between two polls. None: 1 second."""
    max_interval: Optional[float] = None
    """The most. None: 10 seconds, or the minimum if that is more. In between, polls come after a
    tenth of the time for which the call has known the id."""

    def _native(self) -> Any:
        withdraws = boolean("withdraw_on_cancel", self.withdraw_on_cancel)
        return struct(
            _abi.mfa_wait_options,
            first_poll_ms=milliseconds("first_poll", self.first_poll),
            min_interval_ms=milliseconds("min_interval", self.min_interval),
            max_interval_ms=milliseconds("max_interval", self.max_interval),
            cancel_on_timeout=int(boolean("cancel_on_timeout", self.cancel_on_timeout)),
            flags=_abi.MFA_WAIT_WITHDRAW_ON_CANCEL if withdraws else 0,
        )


class Waiting:
    """How one call waits: the options, which others may share, and the callbacks, which are its own."""

    def __init__(
        self,
        options: Optional[WaitOptions],
        on_update: Optional[AwaitedOnUpdate],
        refresh_access_token: Optional[AwaitedRefreshToken],
    ) -> None:
        self.options = WaitOptions() if options is None else instance("wait", options, WaitOptions, "WaitOptions")
        self.on_update = function("on_update", on_update)
        self.refresh_access_token = function("refresh_access_token", refresh_access_token)

    def blocking(self) -> Waiting:
        """For a call that is not awaited."""
        on_update = _blocking("on_update", self.on_update)
        return Waiting(self.options, on_update, _blocking("refresh_access_token", self.refresh_access_token))

    def with_callbacks(self) -> Any:
        wait = self.options._native()
        if self.on_update is not None:
            wait.on_update = _update_callback(self.on_update)
        if self.refresh_access_token is not None:
            wait.access_token_provider = _token_callback(self.refresh_access_token)
        return ctypes.byref(wait)

    def with_events(self) -> Any:
        """In place of callbacks."""
        return with_events(self.options, self.on_update is not None, self.refresh_access_token is not None)


def with_events(options: WaitOptions, report_updates: bool, ask_for_token: bool) -> Any:
    wait = options._native()
    wait.flags |= _abi.MFA_WAIT_REPORT_UPDATES if report_updates else 0
    wait.flags |= _abi.MFA_WAIT_ASK_FOR_TOKEN if ask_for_token else 0
    return ctypes.byref(wait)


def _blocking(name: str, callee: Optional[Callable[..., Any]]) -> Optional[Callable[..., Any]]:
    """Nobody would await what a coroutine function returns to a call that is not awaited itself."""
    if callee is None:
        return None
    refusal = f"{name} is a coroutine function, which only an awaited call can use"
    if inspect.iscoroutinefunction(callee) or inspect.iscoroutinefunction(getattr(callee, "__call__", None)):
        raise TypeError(refusal)

    def call(*arguments: object) -> Any:
        result = callee(*arguments)
        if inspect.isawaitable(result):
            if inspect.iscoroutine(result):
                result.close()
            raise TypeError(refusal)
        return result

    return call


def _update_callback(on_update: Callable[[TransactionState], object]) -> Any:
    def call(so_far: int) -> int:
        return int(on_update(state_from(_abi.mfa_transaction.from_address(so_far))) is END_WAIT)

    return callback(_abi.mfa_update_fn, call, 1)


def _token_callback(refresh: Callable[[], Any]) -> Any:
    # libmfa copies the token after this function has returned: it must live until then, and ctypes
    # would have freed a c_char_p by that time.
    returned: list[Any] = []

    def call() -> Optional[int]:
        returned[:] = [ctypes.c_char_p(fresh_token(refresh()))]
        return ctypes.cast(returned[0], ctypes.c_void_p).value

    return callback(_abi.mfa_token_fn, call, None)


def fresh_token(token: Any) -> Optional[bytes]:
    return text("the token from refresh_access_token", token)


# As the native functions take them.


def token_input(token: str) -> bytes:
    return required_text("access_token", token)


def confirm_inputs(token: str, request: Union[Request, str]) -> tuple[object, ...]:
    asked = Request(request) if isinstance(request, str) else instance("request", request, Request, "a Request or text")
    return token_input(token), ctypes.byref(asked._native())


def known_inputs(token: str, transaction_id: int) -> tuple[object, ...]:
    return token_input(token), integer("transaction_id", transaction_id, 64)
