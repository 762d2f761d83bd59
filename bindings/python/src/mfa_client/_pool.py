"""Threads for the short awaited calls: few, made when needed, gone a second after the last call."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Callable, Generic, Optional, TypeVar

from ._error import shortened

T = TypeVar("T")

MOST_THREADS = 32
_IDLE_SECONDS = 1.0


class Outcome(Generic[T]):
    """What a call on another thread returned or raised."""

    def __init__(self, call: Callable[[], T]) -> None:
        self._value: Optional[T] = None
        self._error: Optional[BaseException] = None
        try:
            self._value = call()
        except BaseException as error:
            self._error = shortened(error)

    @property
    def error(self) -> Optional[BaseException]:
        return self._error

    def take(self) -> T:
        error, self._error = self._error, None
        try:
            if error is not None:
                raise error
            return self._value  # type: ignore[return-value]
        finally:
            del error  # Its traceback refers to this frame.


class Job(Generic[T]):
    """A call that waits for a thread. Whoever comes first has it: a thread, or what ends it unmade."""

    def __init__(self, call: Callable[[], T], done: Callable[[Outcome[T]], None]) -> None:
        self._calls = [call]
        self._done = done

    def run(self) -> None:
        call = self._take()
        if call is not None:
            self._done(Outcome(call))

    def end(self, error: BaseException) -> None:
        """If it has not begun, this is what comes of it."""

        def fail() -> T:
            raise error

        if self._take() is not None:
            self._done(Outcome(fail))

    def _take(self) -> Optional[Callable[[], T]]:
        try:
            return self._calls.pop()
        except IndexError:
            return None


class Pool:
    def __init__(self, most: int) -> None:
        self._most = most
        self._jobs: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._lock = threading.RLock()  # A finalizer may come in the midst of it, on the same thread.
        self._idle = self._threads = 0

    def submit(self, job: Callable[[], None]) -> None:
        self._jobs.put(job)
        with self._lock:
            if self._idle >= self._jobs.qsize() or self._threads >= self._most:
                return
            self._threads += 1
        try:
            threading.Thread(target=self._work, name="libmfa", daemon=True).start()
        except BaseException as error:
            with self._lock:
                self._threads -= 1
            if not isinstance(error, RuntimeError) or threading.main_thread().is_alive():
                raise
            self._do_all()  # The program is at its end: from Python 3.12 on it can start none any more.

    def _do_all(self) -> None:
        with suppress(Empty):
            while True:
                self._jobs.get_nowait()()

    def _work(self) -> None:
        while self._wait_and_do():
            pass

    def _wait_and_do(self) -> bool:
        """Whether to go on. What it did is let go when it returns."""
        with self._lock:
            self._idle += 1
        try:
            job = self._jobs.get(timeout=_IDLE_SECONDS)
        except Empty:
            with self._lock:
                self._idle -= 1
                if not self._jobs.empty():
                    return True
                self._threads -= 1
                return False
        with self._lock:
            self._idle -= 1
        job()
        return True


_pool = Pool(MOST_THREADS)


def submit(job: Callable[[], None]) -> None:
    """Calls it on one of the threads, in the order of their coming. It must not raise."""
    _pool.submit(job)


def _forget() -> None:
    global _pool
    _pool = Pool(MOST_THREADS)  # A forked child has none of the threads.


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
