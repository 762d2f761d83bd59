"""What mypy and pyright say of programs that use this package, rightly and wrongly. Each is tried where it is
installed; `run_tests.py --setup` installs both."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import mfa_client

PROGRAMS = Path(__file__).with_name("typing")
SOURCE = Path(mfa_client.__file__).parents[1]
Errors = list[tuple[str, int, str]]


def mypy(file: Path, folder: Path) -> Errors:
    settings = folder / "mypy.ini"
    settings.write_text(f"[mypy]\nstrict = True\nwarn_unreachable = True\nmypy_path = {SOURCE}\n", encoding="utf-8")
    words = ["--config-file", settings, "--cache-dir", folder / "cache", "--no-error-summary", file]
    output = run(["-m", "mypy", *words], folder)
    found = re.findall(r"^.*?(\w+\.py):(\d+): error: (.*)$", output, re.M)
    assert found or not output.strip(), output
    return [(name, int(line), said) for name, line, said in found]


def pyright(file: Path, folder: Path) -> Errors:
    settings: dict[str, Any] = {
        "include": [os.path.relpath(file, folder)],
        "extraPaths": [str(SOURCE)],
        "pythonVersion": "3.9",
    }
    project = folder / "pyrightconfig.json"
    project.write_text(json.dumps(settings), encoding="utf-8")
    words = ["--project", project, "--pythonpath", sys.executable, "--outputjson"]
    told = json.loads(run(["-m", "pyright", *words], folder))
    assert told["summary"]["filesAnalyzed"] > 0, told
    return [
        (Path(each["file"]).name, each["range"]["start"]["line"] + 1, each["message"])
        for each in told["generalDiagnostics"]
        if each["severity"] == "error"
    ]


def run(words: list[object], folder: Path) -> str:
    command = [sys.executable, *map(str, words)]
    return subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, text=True, timeout=240).stdout


CHECKERS = {"mypy": mypy, "pyright": pyright}


@pytest.fixture(params=CHECKERS)
def checker(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    if importlib.util.find_spec(name) is None:
        pytest.skip(f"there is no {name}")
    return name


def test_a_program_that_uses_every_name_is_clean(checker: str, tmp_path: Path) -> None:
    program = PROGRAMS / "every_name.py"
    text = program.read_text(encoding="utf-8")
    unused = [name for name in mfa_client.__all__ if len(re.findall(rf"\b{name}\b", text)) < 2]
    assert set(unused) <= {"__version__"}, unused
    assert CHECKERS[checker](program, tmp_path) == []


def test_each_wrong_use_is_flagged(checker: str, tmp_path: Path) -> None:
    program = PROGRAMS / "wrong_uses.py"
    lines = program.read_text(encoding="utf-8").splitlines()
    expected = {number for number, line in enumerate(lines, 1) if "# wrong" in line}
    if checker == "mypy":  # It finds what follows unreachable, with warn_unreachable.
        conditions = {number for number in expected if lines[number - 1].lstrip().startswith("if ")}
        expected = expected - conditions | {number for number, line in enumerate(lines, 1) if "# mypy says" in line}
    found = CHECKERS[checker](program, tmp_path)
    assert {line for _, line, _ in found} == expected, found


def test_the_package_is_clean(checker: str, tmp_path: Path) -> None:
    package = Path(mfa_client.__file__).parent
    errors = CHECKERS[checker](package, tmp_path)
    # pytest is there for whoever uses the fixture.
    assert [each for each in errors if "pytest" not in each[2]] == []
