"""The declarations against the library and its header, and libraries that do not fit."""

from __future__ import annotations

import builtins
import ctypes
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from support import TREE, outcome

import mfa_client
from mfa_client import LibraryError, _abi, _library, exceptions, sandbox

HEADER = TREE / "include" / "mfa.h"
SANDBOX_HEADER = TREE / "sandbox" / "include" / "mfa_sandbox.h"
WITH_64_BITS = ctypes.sizeof(ctypes.c_void_p) == 8


@pytest.mark.skipif(not WITH_64_BITS, reason="the layout is that of 64-bit systems")
@pytest.mark.parametrize("name", _abi.STRUCTS)
def test_layout(name: str) -> None:
    struct = _abi.STRUCTS[name]
    size, offsets = _abi.LAYOUT[name]
    assert ctypes.sizeof(struct) == size
    assert {field: getattr(struct, field).offset for field, *_ in struct._fields_} == offsets
    assert _library.library().mfa_struct_size(name.encode()) == size


@pytest.mark.skipif(not HEADER.is_file(), reason="there is no header here")
def test_every_function_and_struct_of_the_header() -> None:
    header = re.sub(r"/\*.*?\*/", "", HEADER.read_text(encoding="utf-8"), flags=re.S)
    assert set(re.findall(r"\b(mfa_\w+)\(", header)) == set(_abi.FUNCTIONS)
    assert set(re.findall(r"^typedef struct (mfa_\w+) {", header, re.M)) == set(_abi.STRUCTS)
    for name in _abi.FUNCTIONS:
        assert getattr(_library.library(), name).argtypes is not None


@pytest.mark.skipif(not SANDBOX_HEADER.is_file(), reason="there is no header here")
def test_every_function_of_the_sandbox() -> None:
    header = re.sub(r"//.*", "", SANDBOX_HEADER.read_text(encoding="utf-8"))
    header = re.sub(r"/\*.*?\*/", "", header, flags=re.S)
    assert set(re.findall(r"\b(mfa_sandbox_\w+)\(", header)) == set(sandbox._FUNCTIONS)
    for name, struct in sandbox._STRUCTS.items():
        assert sandbox._library().mfa_sandbox_struct_size(name.encode()) == ctypes.sizeof(struct)
        body = header[header.index(f"typedef struct {name} {{") :].split("}")[0]
        fields = re.findall(r"(\w+)(?:\[\d+\])?;", body)
        assert fields == [field for field, *_ in struct._fields_]


def test_versions() -> None:
    assert mfa_client.__version__ == mfa_client.version()
    assert set(mfa_client.__all__) <= set(dir(mfa_client))


def test_one_class_per_code() -> None:
    codes = {value for name, value in vars(_abi).items() if name.startswith("MFA_ERR_")}
    assert set(exceptions.BY_CODE) == codes
    for code, kind in exceptions.BY_CODE.items():
        assert kind.code == code
        group = next(group for codes_, group in exceptions.GROUPS.items() if code in codes_)
        assert issubclass(kind, group)


def test_errors_are_named_as_errors() -> None:
    """PEP 8: the suffix is for what is an error. That the caller ended a call is none."""
    assert {name for name in exceptions.__all__ if not name.endswith("Error")} == {"Cancelled"}


def test_nothing_of_python_s_own_is_hidden() -> None:
    for module in (mfa_client, exceptions, sandbox):
        public = getattr(module, "__all__", [name for name in vars(module) if not name.startswith("_")])
        assert not set(public) & set(vars(builtins)), module.__name__


def stub(folder: Path, body: str) -> str:
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        pytest.skip("there is no C compiler")
    source, output = folder / "stub.c", folder / "libstub.so"
    source.write_text("#include <stddef.h>\n#include <stdint.h>\n#include <string.h>\n" + body)
    subprocess.run([compiler, "-shared", "-fPIC", "-o", output, source], check=True)
    return str(output)


def refusal(path: str) -> str:
    loader = _library.Loader("mfa", _abi.FUNCTIONS, _library._fits)
    with pytest.raises(LibraryError) as refused:
        loader.load(path)
    assert refused.value.path == path
    return str(refused.value)


def test_another_abi_version_is_refused(tmp_path: Path) -> None:
    path = stub(tmp_path, "uint32_t mfa_abi_version(void) { return 7; }")
    assert refusal(path) == (
        f"{path} does not fit mfa_client: its ABI version is 7, and this package is written for 1"
    )


def test_a_struct_that_is_too_small_is_refused(tmp_path: Path) -> None:
    path = stub(
        tmp_path,
        """
        uint32_t mfa_abi_version(void) { return 1; }
        size_t mfa_struct_size(const char *n) { return strcmp(n, "mfa_transaction") ? 4096 : 24; }
        """,
    )
    assert refusal(path) == (
        f"{path} does not fit mfa_client: its mfa_transaction has 24 bytes, and this package uses 32; "
        "it is too old"
    )


def test_a_missing_function_is_refused(tmp_path: Path) -> None:
    path = stub(
        tmp_path,
        """
        uint32_t mfa_abi_version(void) { return 1; }
        size_t mfa_struct_size(const char *n) { (void)n; return 4096; }
        """,
    )
    assert refusal(path) == f"{path} does not fit mfa_client: it has no mfa_version"


def test_another_library_is_refused(tmp_path: Path) -> None:
    path = stub(tmp_path, "int something_else;")
    assert refusal(path) == f"{path} does not fit mfa_client: it has no mfa_abi_version"
    nothing = str(tmp_path / "nothing.so")
    assert refusal(nothing).startswith(f"{nothing} cannot be loaded: ")


def test_a_second_library_comes_too_late(tmp_path: Path) -> None:
    _library.library()
    with pytest.raises(LibraryError, match="comes too late"):
        mfa_client.load(tmp_path / "other.so")


def test_a_package_without_its_library_says_so(tmp_path: Path) -> None:
    shutil.copytree(Path(mfa_client.__file__).parent, tmp_path / "mfa_client", ignore=lambda *_: ["_lib"])
    program = """
for name in [name for name in sys.modules if name.startswith("mfa_client")]:
    del sys.modules[name]
sys.path.insert(0, sys.argv[1])
import mfa_client
try:
    mfa_client.HyperId()
except mfa_client.LibraryError as error:
    print(error)
"""
    output, errors = outcome(program, str(tmp_path))
    assert "is not there" in output and "load(path)" in output, errors
