"""Loads libmfa, and refuses one that does not fit."""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Callable, Optional, Union

from . import _abi

PathLike = Union[str, "os.PathLike[str]"]


class LibraryError(ImportError):
    """libmfa cannot be loaded, or does not fit this package. The text says which and why."""


class Loader:
    """One native library: the packaged file, or another that was named before the first use."""

    def __init__(
        self,
        name: str,
        functions: Mapping[str, tuple[Any, list[Any]]],
        check: Callable[[ctypes.CDLL, str], None],
    ) -> None:
        self._name = name
        self._functions = functions
        self._check = check
        self._lock = threading.Lock()
        self._path = ""
        self._library: Optional[ctypes.CDLL] = None

    def __call__(self) -> Any:
        return self._library or self.load(None)

    def load(self, path: Optional[PathLike]) -> Any:
        with self._lock:
            file = os.path.abspath(path) if path is not None else self._path or self._packaged()
            if self._library is None:
                self._library = self._open(file)
                self._path = file
            elif file != self._path:
                raise LibraryError(f"{file} comes too late: {self._path} is loaded already", path=file)
            return self._library

    def _packaged(self) -> str:
        file = Path(__file__).with_name("_lib") / file_name(self._name)
        archive = next((each for each in file.parents if each.is_file()), None)
        if archive is not None:
            raise LibraryError(
                f"mfa_client lies in the archive {archive}, and no system loads a native library from there: install "
                f"the package in a folder, or unpack lib{self._name} and name it with load(path)",
                path=str(file),
            )
        if not file.is_file():
            raise LibraryError(
                f"{file} is not there: this is not an installed wheel, or one that was built without "
                f"lib{self._name}; name a library with load(path)",
                path=str(file),
            )
        return str(file)

    def _open(self, file: str) -> ctypes.CDLL:
        try:
            library = ctypes.CDLL(file)
        except OSError as error:
            raise LibraryError(f"{file} cannot be loaded: {error}", path=file) from error
        self._check(library, file)
        for name, (result, parameters) in self._functions.items():
            function = _function(library, file, name)
            function.restype, function.argtypes = result, parameters
        return library


def packaged(name: str) -> list[tuple[str, str]]:
    """A library of the wheel, if it is there, and the folder that it is looked for in: as packers take them."""
    file = Path(__file__).with_name("_lib") / file_name(name)
    return [(str(file), "mfa_client/_lib")] if file.is_file() else []


def file_name(name: str) -> str:
    if sys.platform == "win32":
        return f"{name}.dll"
    return f"lib{name}.dylib" if sys.platform == "darwin" else f"lib{name}.so"


def _function(library: ctypes.CDLL, file: str, name: str) -> Any:
    try:
        return getattr(library, name)
    except AttributeError:
        raise LibraryError(f"{file} does not fit mfa_client: it has no {name}", path=file) from None


def check_sizes(library: ctypes.CDLL, file: str, function: str, structs: Mapping[str, Any]) -> None:
    """Refuses a library whose structs are smaller than those that this package uses."""
    size_of = _function(library, file, function)
    size_of.restype, size_of.argtypes = ctypes.c_size_t, [ctypes.c_char_p]
    for name, struct in structs.items():
        there, here = size_of(name.encode()), ctypes.sizeof(struct)
        if there < here:
            raise LibraryError(
                f"{file} does not fit mfa_client: its {name} has {there} bytes, and this package "
                f"uses {here}; it is too old",
                path=file,
            )


def _fits(library: ctypes.CDLL, file: str) -> None:
    abi_version = _function(library, file, "mfa_abi_version")
    abi_version.restype, abi_version.argtypes = ctypes.c_uint32, []
    if abi_version() != _abi.MFA_ABI_VERSION:
        raise LibraryError(
            f"{file} does not fit mfa_client: its ABI version is {abi_version()}, and this package "
            f"is written for {_abi.MFA_ABI_VERSION}",
            path=file,
        )
    check_sizes(library, file, "mfa_struct_size", _abi.STRUCTS)


library = Loader("mfa", _abi.FUNCTIONS, _fits)


def load(path: PathLike) -> None:
    """Uses the libmfa in this file in place of the packaged one. To be called before all else."""
    library.load(path)


def version() -> str:
    """The version of the loaded libmfa."""
    return str(library().mfa_version().decode())
