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
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import Any, Callable, Generic, Optional, Protocol, TypeVar

from . import _abi
from ._error import MfaError, Provider, outcome_of, shortened, tell
from ._handle import Handle
from ._library import library
from ._names import in_python
from ._pool import Job, Outcome, submit
from ._values import milliseconds, struct
from .answers import Decision, TransactionState, state_from
from .cancel import CancelToken, Follower
from .exceptions import BY_CODE, GROUPS, Cancelled, InternalError

_NOTHING: AbstractContextManager[Optional[int]] = nullcontext(None)

T = TypeVar("T")
Raised = list[BaseException]


class _Calls(threading.local):
    """The calls that this thread is in, innermost last: what their callbacks have raised."""

    def __init__(self) -> None:
        self.stack: list[Raised] = []


_calls = _Calls()


def native(
    function: Any, *arguments: object, beside: Optional[Callable[[BaseException, int], None]] = None
) -> int:
    """Calls libmfa and returns its code. What a callback raised meanwhile is raised here, once `beside`
    was told of it and of the code.

    ctypes releases the interpreter's lock for the time of the call.
    """
    raised: Raised = []
    _calls.stack.append(raised)
    try:
        code: int = function(*arguments)
    finally:
        _calls.stack.pop()
    if raised:
        if beside is not None:
            beside(raised[0], code)
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
    error = kind(in_python(err.message.decode("utf-8", "replace")))
    error.code = code
    error.name = library().mfa_code_name(code).decode().removeprefix("MFA_ERR_")
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


def error_of(code: int, message: str) -> MfaError:
    """One that libmfa was not needed for."""
    return error_from(code, struct(_abi.mfa_error, message=message.encode()))


def _group(code: int) -> type[MfaError]:
    """A newer libmfa may have codes that this package does not know; not so who must act."""
    return next((group for codes, group in GROUPS.items() if code in codes), InternalError)


class _UnderWay:
    """What may call back. Python ends a thread that wants to run once the interpreter is going; from
    inside libmfa that would be the end of the process. So all of it is ended before."""

    def __init__(self) -> None:
        self.over = False
        self._ender: Optional[int] = None
        self._calls: set[Follower] = set()
        self._others: Callable[[], Sequence[_Ends]] = tuple
        atexit.register(self._end)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._calls.clear)

    def ends_also(self, others: Callable[[], Sequence[_Ends]]) -> None:
        """What needs somebody to drive it to its end."""
        self._others = others

    def is_ending(self) -> bool:
        """Whether this is the thread that ends the program."""
        return self._ender == threading.get_ident()

    def enter(self, call: Follower) -> None:
        self._calls.add(call)
        if self.over and threading.current_thread() is not threading.main_thread():
            raise Cancelled("the program is at its end")

    def leave(self, call: Follower) -> None:
        self._calls.discard(call)

    def _end(self) -> None:
        self.over, self._ender = True, threading.get_ident()
        others = self._others()
        for call in (*self._calls, *others):
            call.trigger()
        # libmfa needs 50 ms, or 2 s to withdraw a request; the rest is for callbacks.
        latest = time.monotonic() + 4
        while time.monotonic() < latest:
            have_ended = [other.ends() for other in others]
            if all(have_ended) and not self._calls:
                return
            time.sleep(0.001)


class _Ends(Follower, Protocol):
    def ends(self) -> bool:
        """Goes on ending, without waiting. Whether it has ended."""
        ...


under_way = _UnderWay()


class _EndsUnmade:
    """Ends a call that is still waiting for its turn."""

    def __init__(self, job: Job[Any]) -> None:
        self._job = job

    def trigger(self) -> None:
        self._job.end(error_of(_abi.MFA_ERR_CANCELLED, "cancelled before the call's turn had come"))


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
        asks: bool = False,
        waits: bool = False,
    ) -> None:
        self._client = client
        self._function = function
        self._inputs = inputs
        self._out = out
        self._read = read
        self._timeout_ms = milliseconds("timeout", timeout)
        self._asks = asks or waits  # A person: so what became of it must be known, however it ends.
        self._calls_back = waits or client.calls_back
        self._error: Optional[MfaError] = None

    def run(self, cancel: Optional[CancelToken]) -> T:
        """On this thread."""
        try:
            return self._run_as(CancelToken(), cancel) if self._calls_back else self._make(cancel)
        except BaseException as error:
            if error is self._error:
                raise error.with_traceback(None)  # Where in here it comes from is of no use to anybody.
            raise shortened(error)

    def _run_as(self, own: CancelToken, leader: Optional[CancelToken]) -> T:
        """With a token of its own, which `leader` triggers, and so does the program's end."""
        try:
            if leader is not None:
                leader._open()
                leader._lead(own)
            under_way.enter(own)
            return self._make(own)
        finally:
            under_way.leave(own)
            if leader is not None:
                leader._lead_no_more(own)

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
                    beside=lambda raised, code: self._tell(raised, self._became(code, err)),
                )
        finally:
            del self._client  # If nobody else has it, it ends here, not when a traceback is gone.
        if code != _abi.MFA_OK:
            self._error = error_from(code, err, self._last_state())
            raise self._error
        return self._read(code, self._out)

    def run_interruptibly(self, cancel: Optional[CancelToken]) -> T:
        """As `run`, but Ctrl-C ends it, and whatever else a signal handler raises.

        Signals reach Python on its main thread alone, and not while that is inside libmfa: there
        the call is made on another thread, and so are its callbacks.
        """
        main = threading.main_thread()
        # It has ended where exit functions run: from Python 3.12 on no thread can be started there.
        if threading.current_thread() is not main or not main.is_alive() or under_way.over:
            return self.run(cancel)
        own = CancelToken()
        thread, future = self._thread(own, cancel)
        try:
            thread.start()
            outcome = future.result()
        except BaseException as error:
            own.trigger()
            if thread.ident is not None:
                self._end(error, future)
            raise
        return self._take(outcome)

    def _end(self, error: BaseException, future: Future[Outcome[T]]) -> None:
        """Within 50 ms, or 2 s to withdraw, and the callbacks' time; or the next Ctrl-C."""
        try:
            outcome = future.result()
        except BaseException as again:
            self._tell(again, left_under_way())
            raise
        self._tell(error, self._outcome(outcome))

    def _take(self, outcome: Outcome[T]) -> T:
        if self._error is not None and outcome.error is self._error:
            raise self._error.with_traceback(None)
        return outcome.take()

    async def run_async(self, cancel: Optional[CancelToken]) -> T:
        """As `run`, on another thread, of which there are few. Cancelling the task ends the call, and so
        does closing the coroutine, as the collector closes one that nobody awaits any more."""
        if under_way.over:
            return self.run(cancel)  # A thread that is started now may never run.
        own, began = CancelToken(), time.monotonic()
        if cancel is not None:
            cancel._open()

        def call() -> T:
            self._waited(time.monotonic() - began)
            return self._run_as(own, None)

        context = contextvars.copy_context()
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[Outcome[T]] = loop.create_future()

        def done(outcome: Outcome[T]) -> None:
            with suppress(RuntimeError):  # The loop was closed.
                loop.call_soon_threadsafe(ended.set_result, outcome)

        job = Job(call, done)
        # Its turn may come late: by then its time may be over, or nobody may want it any more.
        own._lead(_EndsUnmade(job))
        late = loop.call_later(
            self._seconds(), job.end, error_of(_abi.MFA_ERR_TIMEOUT, "the call's turn did not come in time")
        )
        try:
            if cancel is not None:
                cancel._lead(own)
            submit(lambda: context.run(job.run))
            outcome = await asyncio.shield(ended)
        except asyncio.CancelledError as error:
            own.trigger()
            await asyncio.wait([ended])
            self._tell(error, self._outcome(ended.result()))
            raise
        except GeneratorExit:
            own.trigger()
            raise
        finally:
            late.cancel()
            if cancel is not None:
                cancel._lead_no_more(own)
        return self._take(outcome)

    def _seconds(self) -> float:
        return self._timeout_ms / 1000 if self._timeout_ms else self._client.default_timeout

    def _waited(self, seconds: float) -> None:
        """The deadline counts from the call, not from its turn."""
        left_ms = round((self._seconds() - seconds) * 1000)
        self._timeout_ms = max(1, min(left_ms, self._timeout_ms or left_ms))

    def _thread(
        self, own: CancelToken, leader: Optional[CancelToken]
    ) -> tuple[threading.Thread, Future[Outcome[T]]]:
        future: Future[Outcome[T]] = Future()

        def work() -> None:
            future.set_result(Outcome(lambda: self._run_as(own, leader)))

        context = contextvars.copy_context()
        return threading.Thread(target=context.run, args=(work,), name="libmfa", daemon=True), future

    def _last_state(self) -> Optional[TransactionState]:
        if isinstance(self._out, _abi.mfa_transaction):
            return state_from(self._out) if self._out.transaction_id else None
        if isinstance(self._out, ctypes.c_int64):
            return TransactionState(self._out.value, Decision.PENDING, -1, -1, 0, 0.0) if self._out.value else None
        return None

    # What became of it, for whoever does not get what it returned or raised.

    def _tell(self, error: BaseException, outcome: MfaError) -> None:
        if self._asks:
            tell(error, outcome)

    def _outcome(self, outcome: Outcome[T]) -> MfaError:
        error = outcome.error
        return self._became(_abi.MFA_OK, None) if error is None else outcome_of(error) or left_under_way()

    def _became(self, code: int, err: Any) -> MfaError:
        if code != _abi.MFA_OK:
            return error_from(code, err, self._last_state())
        return answered(self._last_state())


def answered(state: Optional[TransactionState]) -> MfaError:
    outcome = Cancelled("the call was ended when the answer had come")
    outcome.transaction = state
    return outcome


def left_under_way() -> MfaError:
    outcome = Cancelled("the call was left before it had ended")
    outcome.outcome_unknown = True
    return outcome
