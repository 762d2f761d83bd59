"""What was made in a native library: who owns it, and how long it lives."""

from __future__ import annotations

from typing import Callable, NoReturn, Optional

from .exceptions import ClosedError


class Uncopied:
    """A copy would free what its original uses, and no other process has it."""

    __slots__ = ()

    def __reduce_ex__(self, _protocol: object) -> NoReturn:
        raise TypeError(f"a {type(self).__name__} cannot be copied or pickled; make another")


class Handle(Uncopied):
    """Owns a native object, which is freed once this is closed and no call uses it any more: so
    closing is safe at any time and in any thread, and the last call to end frees.

    Finalized is closed, and for good. In a garbage cycle, and so at the interpreter's end, finalizers
    run in no order: others that use this come later, and one that came earlier may have handed it to
    another thread, where a call is under way.
    """

    __slots__ = ("_callback", "_closed", "_free", "_name", "_pointers", "_uses", "default_timeout")

    def __init__(self, pointer: int, free: Callable[[int], None], name: str, callback: object = None) -> None:
        self._free = free
        self._name = name
        self._callback = callback  # It may be called until the object is freed.
        self._uses: list[None] = []  # One for each call under way.
        self._pointers = [pointer]  # Whoever takes it frees.
        self._closed = False
        self.default_timeout = 30.0  # Of a client: the deadline, in seconds, of a call that names none.

    @property
    def calls_back(self) -> bool:
        return self._callback is not None

    @property
    def closed(self) -> bool:
        return self._closed

    # No lock: a finalizer and a signal handler may come in the midst of anything on their own thread.
    # A use is entered before `_closed` is read; `_closed` is set before closing is entered as a use of
    # its own. So whichever comes second sees the other, and the last to leave frees.

    def __enter__(self) -> int:
        self._uses.append(None)
        if self._closed:
            self.__exit__()
            raise closed_error(self._name)
        return self._pointers[0]

    def __exit__(self, *_: object) -> None:
        self._uses.pop()
        if self._closed:
            self._free_unused()

    def close(self) -> None:
        self._closed = True
        self._uses.append(None)
        self.__exit__()

    __del__ = close

    def _free_unused(self) -> None:
        if self._uses:
            return
        try:
            pointer = self._pointers.pop()
        except IndexError:
            return  # Another thread was first.
        self._free(pointer)


class Owner(Uncopied):
    """What users hold. Closed, too, where it could not be made: `__del__` comes all the same."""

    _handle: Optional[Handle] = None

    def _open(self) -> Handle:
        handle = self._handle
        if handle is None or handle.closed:
            raise closed_error(type(self).__name__)
        return handle

    def _close(self) -> None:
        handle, self._handle = self._handle, None
        if handle is not None:
            handle.close()


def closed_error(name: str) -> ClosedError:
    return ClosedError(f"this {name} is closed")
