"""Many waits on one native waiter: its events, and what each is for.

Whoever calls `turn` drives all of them. Who that is differs: `_awaited` (asyncio), `waiter` (the
program itself), `_green` (gevent and eventlet).
"""

from __future__ import annotations

import copy
import ctypes
import itertools
import math
import os
import select
import threading
import time
import weakref
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any, Callable, Generic, Optional, Protocol, TypeVar

from . import _abi
from ._call import error_from, native, under_way
from ._error import MfaError
from ._handle import Handle
from ._library import library
from ._values import milliseconds, struct
from .answers import state_from, transaction_from
from .events import Event, EventKind
from .exceptions import BusyError, Cancelled, ClosedError

T = TypeVar("T")

# To withdraw a request takes 2 s; the rest is for a slow machine.
_DRAIN_SECONDS = 3.0
# Where there is no descriptor, how long the handler of a signal may have to wait.
_SLICE_SECONDS = 0.05


class AtItsEnd(Cancelled):
    """The program's end drives what is left, and nobody else may."""


class Sink(Protocol):
    """Whom the events of one wait are for."""

    key: int
    ticket: int
    data: object

    def take(self, number: int, event: Event) -> None:
        """On the thread that drives the waits. One that comes again has the same number."""

    def post(self, number: int, event: Event) -> None:
        """On any other."""


class Inbox(Generic[T]):
    """What has come, in its order and each once.

    A signal's handler may raise between any two steps of Python's. Then an event that was put in already is
    handed over again, as it might not have been; its number tells.
    """

    def __init__(self) -> None:
        self._all: dict[int, T] = {}
        self._seen = 0

    def put(self, number: int, one: T) -> None:
        if number > self._seen:
            self._all[number] = one
            self._seen = number

    def take(self) -> Optional[T]:
        for number in tuple(self._all):
            one = self._all.pop(number, None)  # One step, so that of two threads one has it.
            if one is not None:
                if number > self._seen:
                    self._seen = number
                return one
        return None

    def __iter__(self) -> Iterator[T]:
        return iter(tuple(self._all.values()))


class Waits:
    """Handles go in their own order: see `Handle`. So nothing here needs a finalizer."""

    def __init__(self, client: Handle, *, max_connections: int = 0, max_requests_per_second: int = 0) -> None:
        self._library = library()
        self._sinks: dict[int, Sink] = {}
        self._keys = itertools.count(1)
        self._withdrawing: set[int] = set()  # The keys of those that are to be withdrawn if they end early.
        self._asking: set[int] = set()  # The keys of those that ask a person, and whose id is not known yet.
        # A finalizer, or the log, may come in the midst of a turn, on the same thread.
        self._lock = threading.RLock()
        self._is_turning = False
        self._number = 0  # Of the event in `_event`.
        self._event = struct(_abi.mfa_event)
        self._transaction = struct(_abi.mfa_transaction)
        self._why = struct(_abi.mfa_error)
        options = struct(
            _abi.mfa_waiter_options,
            max_connections=max_connections,
            max_requests_per_second=max_requests_per_second,
        )
        self._handle = _new(client, options, self._withdrawing)
        with self._handle as waiter:
            self.fd = int(self._library.mfa_waiter_fd(waiter))
        _live[id(self)] = self

    def __len__(self) -> int:
        return len(self._sinks)

    @property
    def is_idle(self) -> bool:
        return not self._sinks

    @property
    def closed(self) -> bool:
        return self._handle.closed

    @property
    def was_interrupted(self) -> bool:
        """There is an event that may not have been handed out, or not wholly."""
        return bool(self._event.kind != _abi.MFA_EVENT_NONE)

    def add(
        self,
        function: str,
        inputs: Sequence[object],
        sink: Sink,
        timeout: Optional[float],
        withdraws: bool,
    ) -> None:
        """Sets the sink's ticket. Its events may come before this returns, if another thread drives."""
        key = sink.key = next(self._keys)
        ticket = ctypes.c_uint64()
        err = struct(_abi.mfa_error)
        options = struct(_abi.mfa_call_options, timeout_ms=milliseconds("timeout", timeout))
        arguments = (*inputs, ctypes.byref(options), key, ctypes.byref(ticket), ctypes.byref(err))
        self._sinks[key] = sink
        if withdraws:
            self._withdrawing.add(key)
        if function == "mfa_waiter_confirm":
            self._asking.add(key)
        code = _abi.MFA_ERR_INTERNAL
        try:
            with self._handle as waiter:
                code = native(getattr(self._library, function), waiter, *arguments)
        except BaseException:
            if ticket.value:
                self.cancel(ticket.value)  # What the log raised ends it.
            raise
        finally:
            if code != _abi.MFA_OK and not ticket.value:
                self.forget(key)
        if code != _abi.MFA_OK:
            raise error_from(code, err)
        sink.ticket = ticket.value

    def cancel(self, ticket: int, withdraw: bool = False) -> None:
        self._do("mfa_waiter_cancel", ctypes.c_uint64(ticket), _abi.MFA_CANCEL_WITHDRAW if withdraw else 0)

    def cancel_all(self, withdraw: bool = False) -> None:
        self._do("mfa_waiter_cancel_all", _abi.MFA_CANCEL_WITHDRAW if withdraw else 0)

    def give_token(self, ticket: int, token: Optional[bytes]) -> None:
        self._do("mfa_waiter_give_token", ctypes.c_uint64(ticket), token)

    def _do(self, function: str, *arguments: object) -> None:
        err = struct(_abi.mfa_error)
        with self._handle as waiter:
            code = native(getattr(self._library, function), waiter, *arguments, ctypes.byref(err))
        if code != _abi.MFA_OK:
            raise error_from(code, err)

    def wake(self) -> None:
        with suppress(ClosedError), self._handle as waiter:
            self._library.mfa_waiter_wake(waiter)

    def close(self) -> None:
        """Drops what is under way, or withdraws it where that was asked for; ends a `turn`."""
        with suppress(ClosedError), self._handle as waiter:
            self._handle.close()
            self._library.mfa_waiter_wake(waiter)

    def withdraw_and_close(self) -> None:
        """Ends what is under way, and where that was asked for takes it back first."""
        try:
            if self._withdrawing and not self.closed:
                self.cancel_all()
                latest = time.monotonic() + _DRAIN_SECONDS
                while self._withdrawing and time.monotonic() < latest:
                    if not self.turn(0, _drop):
                        self.wait_until_ready(latest)
        except AtItsEnd:
            return  # The program's end takes it back, and may not find it closed.
        except BaseException:
            self._drop_all()
            raise
        self._drop_all()

    def _drop_all(self) -> None:
        self._withdrawing.clear()
        self.close()

    def wait_until_ready(self, latest: Optional[float]) -> None:
        """Waits until a `turn` has something to do, where a signal's handler can interrupt it."""
        seconds = _SLICE_SECONDS if latest is None else max(0.0, latest - time.monotonic())
        with self._handle:
            if self.fd >= 0:
                wait_until_readable(self.fd, None if latest is None else seconds)
            else:
                self.turn(round(min(seconds, _SLICE_SECONDS) * 1000))

    def turn(self, timeout_ms: int = 0, hand: Optional[Hand] = None) -> bool:
        """Hands one event to its sink; False: there was none. What the log raises is raised here."""
        if under_way.over and not under_way.is_ending():
            raise AtItsEnd("the program is at its end")
        with self._lock:
            if self._is_turning:
                raise BusyError("the log callback cannot take events")
            self._is_turning = True
            try:
                return self._turn(timeout_ms, hand or _take)
            except BaseException:
                # Whatever came in the midst: there may be an event left, which needs somebody to look.
                self.wake()
                raise
            finally:
                self._is_turning = False

    def _turn(self, timeout_ms: int, hand: Hand) -> bool:
        # An event stays in `_event` until it was handed out, whatever a signal handler raises meanwhile.
        try:
            if self._event.kind == _abi.MFA_EVENT_NONE:
                self._next(timeout_ms)
        finally:
            there_is_one: bool = self._event.kind != _abi.MFA_EVENT_NONE
            if there_is_one:
                self._hand_out(hand)
        return there_is_one

    def _next(self, timeout_ms: int) -> None:
        self._number += 1
        err = struct(_abi.mfa_error)
        outs = map(ctypes.byref, (self._event, self._transaction, self._why, err))
        with self._handle as waiter:
            code = native(self._library.mfa_waiter_next, waiter, timeout_ms, *outs)
        if code != _abi.MFA_OK:
            self._break(error_from(code, err))

    def _hand_out(self, hand: Hand) -> None:
        key = self._event.user_data
        sink = self._sinks.get(key)
        if sink is not None:
            sink.ticket = self._event.ticket
            hand(sink, self._number, event_from(self._event, self._transaction, self._why, sink.data))
        if self._event.kind == _abi.MFA_EVENT_STARTED:
            self._asking.discard(key)
        if self._event.kind == _abi.MFA_EVENT_ENDED:
            self.forget(key)
        self._event.kind = _abi.MFA_EVENT_NONE

    def forget(self, key: int) -> None:
        self._sinks.pop(key, None)
        self._withdrawing.discard(key)
        self._asking.discard(key)

    def _break(self, error: MfaError) -> None:
        """The waiter itself is of no use any more (in a forked child): so each wait has ended."""
        for key, sink in tuple(self._sinks.items()):
            self._number += 1
            its_own = copy.copy(error)
            # Nobody knows any more whether its person was asked.
            its_own.outcome_unknown = key in self._asking
            sink.post(self._number, Event(EventKind.ENDED, sink.ticket, sink.data, None, its_own))
            self.forget(key)
        self.close()
        raise error

    # The program's end.

    def trigger(self) -> None:
        with suppress(ClosedError, MfaError):
            self.cancel_all()

    def ends(self) -> bool:
        """Drives what is left, on the thread that ends the program. Whether all has ended."""
        with suppress(Exception):
            while self.turn(0, _post):
                pass
        if self.is_idle:
            self.close()
        return self.is_idle or self._handle.closed


def event_from(raw: Any, transaction: Any, why: Any, data: object) -> Event:
    kind = EventKind(raw.kind)
    if kind is EventKind.ENDED and raw.code == _abi.MFA_OK:
        approved = library().mfa_event_is_approved(ctypes.byref(raw), ctypes.byref(transaction))
        return Event(kind, raw.ticket, data, transaction_from(transaction, approved), None)
    state = state_from(transaction) if transaction.transaction_id else None
    error = None
    if kind in (EventKind.ENDED, EventKind.TOKEN_REFUSED):
        error = error_from(raw.code if kind is EventKind.ENDED else why.code, why, state)
    return Event(kind, raw.ticket, data, state, error)


Hand = Callable[[Sink, int, Event], None]


def _take(sink: Sink, number: int, event: Event) -> None:
    sink.take(number, event)


def _post(sink: Sink, number: int, event: Event) -> None:
    sink.post(number, event)


def _drop(_sink: Sink, _number: int, _event: Event) -> None:
    pass


def wait_until_readable(fd: int, seconds: Optional[float]) -> None:
    """In Python, not in libmfa: so Ctrl-C ends it, and what gevent or eventlet made of `select` serves."""
    if hasattr(select, "poll"):
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        poll.poll(None if seconds is None else math.ceil(seconds * 1000))
    else:
        select.select([fd], [], [], seconds)


def _new(client: Handle, options: Any, withdrawing: set[int]) -> Handle:
    """The client is in use as long as its waiter lives: so it is freed later."""
    lib = library()
    pointer = ctypes.c_void_p()
    err = struct(_abi.mfa_error)
    in_use = client.__enter__()

    def free(pointer: int) -> None:
        if withdrawing and not under_way.over and lib.mfa_waiter_count(pointer):
            # Nobody drives it any more: its loop was closed, or nobody has it.
            with suppress(RuntimeError):
                threading.Thread(target=drain, args=(pointer,), name="libmfa", daemon=True).start()
                return
        lib.mfa_waiter_free(pointer)
        client.__exit__()

    def drain(pointer: int) -> None:
        try:
            _drain(pointer)
        finally:
            lib.mfa_waiter_free(pointer)
            client.__exit__()

    try:
        code = native(lib.mfa_waiter_new, in_use, ctypes.byref(options), ctypes.byref(pointer), ctypes.byref(err))
    except BaseException:
        code = _abi.MFA_ERR_INTERNAL
        raise
    finally:
        if not pointer.value:
            client.__exit__()
    if code != _abi.MFA_OK or not pointer.value:
        raise error_from(code, err)
    return Handle(pointer.value, free, "Waiter")


class _Draining:
    """Known to the program's end, which waits for it."""

    def trigger(self) -> None:
        pass


def _drain(pointer: int) -> None:
    """Takes back what is under way, and drops the events: nobody is there to have them."""
    lib, until, this = library(), time.monotonic() + _DRAIN_SECONDS, _Draining()
    event, transaction, err = struct(_abi.mfa_event), struct(_abi.mfa_transaction), struct(_abi.mfa_error)
    under_way.enter(this)
    try:
        lib.mfa_waiter_cancel_all(pointer, 0, ctypes.byref(err))
        while lib.mfa_waiter_count(pointer) and time.monotonic() < until:
            with suppress(Exception):  # The log's own.
                native(
                    lib.mfa_waiter_next,
                    pointer,
                    100,
                    ctypes.byref(event),
                    ctypes.byref(transaction),
                    None,
                    ctypes.byref(err),
                )
    finally:
        under_way.leave(this)


_live: weakref.WeakValueDictionary[int, Waits] = weakref.WeakValueDictionary()


def _all() -> list[Waits]:
    return [waits for ref in _live.valuerefs() if (waits := ref()) is not None]


def _forked() -> None:
    for waits in _all():
        waits._lock = threading.RLock()  # Another thread may have had it, which is not here.
        waits._event.kind = _abi.MFA_EVENT_NONE  # It is the parent's.
        waits._is_turning = False
    _live.clear()


under_way.ends_also(_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
