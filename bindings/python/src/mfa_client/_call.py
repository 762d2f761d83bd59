"""One call into libmfa: on this thread, on another that Ctrl-C can end, or awaited.

What a call uses belongs to the thread that makes it, so nothing is freed before it has ended,
whatever becomes of the caller.
"""

from __future__ import annotations

import asyncio
import atexit
import contextvars
import ctypes
import os
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Callable, Generic, Optional, TypeVar

from . import _abi
from ._error import MfaError, Provider
from ._handle import Handle
from ._library import library
from ._values import milliseconds, struct
from .answers import TransactionState, state_from
from .cancel import CancelToken
from .exceptions import BY_CODE, GROUPS, Cancelled, InternalError

_NOTHING: AbstractContextManager[Optional[int]] = nullcontext(None)

T = TypeVar("T")
Raised = list[BaseException]


class _Calls(threading.local):
    """The calls that this thread is in, innermost last: what their callbacks have raised."""

    def __init__(self) -> None:
        self.stack: list[Raised] = []


_calls = _Calls()


def native(function: Any, *arguments: object) -> int:
    """Calls libmfa and returns its code. What a callback raised meanwhile is raised here.

    ctypes releases the interpreter's lock for the time of the call.
    """
    raised: Raised = []
    _calls.stack.append(raised)
    try:
        code: int = function(*arguments)
    finally:
        _calls.stack.pop()
    if raised:
        raise raised.pop(0)
    return code


def callback(kind: Any, function: Callable[..., object], failed: object) -> Any:
    """A C function that calls `function`; if that raises, it returns `failed` to libmfa, and the
    exception reaches whoever made the call."""

    def call(_user_data: object, *arguments: object) -> object:
        try:
            return function(*arguments)
        except BaseException as error:
            if not _calls.stack:
                raise  # No call to raise it from: ctypes reports it.
            _calls.stack[-1].append(error)
            return failed

    return kind(call)


def error_from(code: int, err: Any, state: Optional[TransactionState] = None) -> MfaError:
    kind = BY_CODE.get(code) or _group(code)
    error = kind(err.message.decode("utf-8", "replace"))
    error.code = code
    error.name = library().mfa_code_name(code).decode()
    error.provider = next((one for one in Provider if one.value == err.provider), None)
    error.provider_code = err.provider_code if err.has_provider_code else None
    error.http_status = err.http_status or None
    error.retry_after = err.retry_after_ms / 1000 if err.retry_after_ms else None
    error.attempts = err.attempts
    error.os_error = err.os_error or None
    error.retryable = bool(err.flags & _abi.MFA_ERROR_RETRYABLE)
    error.outcome_unknown = bool(err.flags & _abi.MFA_ERROR_OUTCOME_UNKNOWN)
    error.withdrawn = bool(err.flags & _abi.MFA_ERROR_WITHDRAWN)
    error.transaction = state
    return error


def _group(code: int) -> type[MfaError]:
    """A newer libmfa may have codes that this package does not know; not so who must act."""
    return next((group for codes, group in GROUPS.items() if code in codes), InternalError)


class _UnderWay:
    """Calls that may call back. Python ends a thread that wants to run once the interpreter is
    going; from inside libmfa that would be the end of the process. So they are ended before."""

    def __init__(self) -> None:
        self.over = False
        self._calls: set[CancelToken] = set()
        atexit.register(self._end)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._calls.clear)

    def enter(self, call: CancelToken) -> None:
        self._calls.add(call)
        if self.over and threading.current_thread() is not threading.main_thread():
            raise Cancelled("the program is at its end")

    def leave(self, call: CancelToken) -> None:
        self._calls.discard(call)

    def _end(self) -> None:
        self.over = True
        for call in tuple(self._calls):
            call.trigger()
        # libmfa needs 50 ms, or 2 s to withdraw a request; the rest is for callbacks.
        latest = time.monotonic() + 4
        while self._calls and time.monotonic() < latest:
            time.sleep(0.001)


_under_way = _UnderWay()


class _Outcome(Generic[T]):
    """What a call on another thread returned or raised."""

    def __init__(self, call: Callable[[], T]) -> None:
        self._value: Optional[T] = None
        self._error: Optional[BaseException] = None
        try:
            self._value = call()
        except BaseException as error:
            self._error = error

    def take(self) -> T:
        error, self._error = self._error, None
        try:
            if error is not None:
                raise error
            return self._value  # type: ignore[return-value]
        finally:
            del error  # Its traceback refers to this frame.


class Call(Generic[T]):
    """A call that is ready to be made, once: `run`, `run_interruptibly` or `run_async`."""

    def __init__(
        self,
        client: Handle,
        function: Any,
        inputs: Sequence[object],
        out: Any,
        read: Callable[[int, Any], T],
        timeout: Optional[float],
        waits: bool = False,
    ) -> None:
        self._client = client
        self._function = function
        self._inputs = inputs
        self._out = out
        self._read = read
        self._timeout_ms = milliseconds("timeout", timeout)
        self._calls_back = waits or client.calls_back

    def run(self, cancel: Optional[CancelToken]) -> T:
        """On this thread."""
        return self._run_as(CancelToken(), cancel) if self._calls_back else self._make(cancel)

    def _run_as(self, own: CancelToken, leader: Optional[CancelToken]) -> T:
        """With a token of its own, which `leader` triggers, and so does the program's end."""
        own.follow(leader)
        try:
            _under_way.enter(own)
            return self._make(own)
        finally:
            _under_way.leave(own)
            own.unfollow(leader)

    def _make(self, cancel: Optional[CancelToken]) -> T:
        err = struct(_abi.mfa_error)
        outs = () if self._out is None else (ctypes.byref(self._out),)
        try:
            with self._client as client, _NOTHING if cancel is None else cancel._open() as stop:
                options = struct(_abi.mfa_call_options, timeout_ms=self._timeout_ms, cancel=stop)
                code = native(
                    self._function,
                    client,
                    *self._inputs,
                    ctypes.byref(options),
                    *outs,
                    ctypes.byref(err),
                )
        finally:
            del self._client  # If nobody else has it, it ends here, not when a traceback is gone.
        if code != _abi.MFA_OK:
            raise error_from(code, err, self._last_state())
        return self._read(code, self._out)

    def run_interruptibly(self, cancel: Optional[CancelToken]) -> T:
        """As `run`, but Ctrl-C ends it, and whatever else a signal handler raises.

        Signals reach Python on its main thread alone, and not while that is inside libmfa: there
        the call is made on another thread, and so are its callbacks.
        """
        if threading.current_thread() is not threading.main_thread() or _under_way.over:
            return self.run(cancel)
        own = CancelToken()
        thread, future = self._thread(own, cancel)
        try:
            thread.start()
            outcome = future.result()
        except BaseException:
            own.trigger()
            if thread.ident is not None:
                # Within 50 ms, or 2 s to withdraw, and the callbacks' time; or the next Ctrl-C.
                future.result()
            raise
        return outcome.take()

    async def run_async(self, cancel: Optional[CancelToken]) -> T:
        """As `run`, on another thread. Cancelling the task ends the call, and so does closing the
        coroutine, as the collector closes one that nobody awaits any more."""
        if _under_way.over:
            return self.run(cancel)  # A thread that is started now may never run.
        own = CancelToken()
        thread, future = self._thread(own, cancel)
        ended = asyncio.wrap_future(future)
        thread.start()
        try:
            outcome = await asyncio.shield(ended)
        except asyncio.CancelledError:
            own.trigger()
            await asyncio.wait([ended])
            raise
        except GeneratorExit:
            own.trigger()
            raise
        return outcome.take()

    def _thread(
        self, own: CancelToken, leader: Optional[CancelToken]
    ) -> tuple[threading.Thread, Future[_Outcome[T]]]:
        future: Future[_Outcome[T]] = Future()

        def work() -> None:
            future.set_result(_Outcome(lambda: self._run_as(own, leader)))

        context = contextvars.copy_context()
        return threading.Thread(target=context.run, args=(work,), name="libmfa", daemon=True), future

    def _last_state(self) -> Optional[TransactionState]:
        is_transaction = isinstance(self._out, _abi.mfa_transaction)
        return state_from(self._out) if is_transaction and self._out.transaction_id else None
