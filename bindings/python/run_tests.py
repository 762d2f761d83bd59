#!/usr/bin/env python3
"""Everything that must hold of the Python binding: types, tests, the wheel, the README, the examples.

    python run_tests.py --library libmfa.so --sandbox-library libmfa_sandbox.so [--setup] [--temp FOLDER]

With --setup it makes a virtual environment in the folder and installs pytest, mypy, pyright, hatchling, PyInstaller,
uvloop, gevent and eventlet from PyPI; without, it uses what is there, and says what it leaves out. The last line is
`N passed, N failed, N skipped`; the exit status is 1 if anything failed.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Callable, Optional

from package_checks import PackageChecks
from server_example import ServerExample

HERE = Path(__file__).resolve().parent
EXAMPLES = HERE.parent.parent / "examples" / "python"
TOOLS = ["pytest", "mypy", "hatchling"]
# What the tests also try the binding with, where there is one for this Python.
OTHERS = ["uvloop", "gevent", "eventlet", "pyright[nodejs]", "pyinstaller"]
LIMIT = 900


class Skipped(Exception):
    """A step cannot be done here; the text says why."""


class Run:
    def __init__(self, arguments: argparse.Namespace, temp: Path) -> None:
        self.library = arguments.library.resolve()
        self.sandbox = arguments.sandbox_library.resolve()
        self.setup: bool = arguments.setup
        self.pytest: list[str] = arguments.pytest
        self.temp = temp
        self.passed = self.failed = self.skipped = 0

    def step(self, name: str, does: Callable[[], None]) -> None:
        """A step counts as one, unless it counts what it does itself (and returns nothing)."""
        began, before = time.monotonic(), (self.passed, self.failed)
        try:
            does()
            if before == (self.passed, self.failed):
                self.passed += 1
            verdict = "ok" if self.failed == before[1] else "FAILED"
        except Skipped as reason:
            self.skipped += 1
            verdict = f"skipped: {reason}"
        except Exception as error:
            self.failed += 1
            verdict = f"FAILED: {error}"
        print(f"{name}: {verdict} ({time.monotonic() - began:.1f} s)", flush=True)

    # The environment with the tools.

    def prepare(self) -> None:
        if not self.setup:
            missing = [tool for tool in TOOLS if not self.has(tool)]
            if missing:
                raise Skipped(f"without --setup there is no {', '.join(missing)} here")
            return
        self.make_environment("tools")
        run([self.python(), "-m", "pip", "install", "--quiet", *TOOLS])
        for package in OTHERS:
            if not succeeds([self.python(), "-m", "pip", "install", "--quiet", "--only-binary=:all:", package]):
                print(f"there is no {package} for this Python", flush=True)
        # It fetches itself from npm at its first run.
        if self.has("pyright") and not succeeds([self.python(), "-m", "pyright", "--version"]):
            print("pyright cannot be fetched", flush=True)
            run([self.python(), "-m", "pip", "uninstall", "--quiet", "--yes", "pyright"])

    def make_environment(self, name: str) -> Path:
        folder = self.temp / name
        shutil.rmtree(folder, ignore_errors=True)
        run([sys.executable, "-m", "venv", folder])
        return python_in(folder)

    def python(self) -> Path:
        mine = python_in(self.temp / "tools")
        return mine if mine.is_file() else Path(sys.executable)

    def has(self, module: str) -> bool:
        return succeeds([self.python(), "-c", f"import {module}"])

    def need(self, module: str) -> None:
        if not self.has(module):
            raise Skipped(f"there is no {module}")

    # The steps.

    def types(self) -> None:
        self.need("mypy")
        self.need("pytest")
        sources: list[object] = ["src", "tests", "run_tests.py", "server_example.py", "package_checks.py", "bench.py"]
        if self.has("hatchling"):
            sources.append("hatch_build.py")
        if EXAMPLES.is_dir():
            sources.append(EXAMPLES)
        run([self.python(), "-m", "mypy", "--strict", "--cache-dir", self.temp / "mypy", *sources])

    def tests(self) -> None:
        self.need("pytest")
        report = self.temp / "pytest.xml"
        report.unlink(missing_ok=True)
        environment = {
            "MFA_CLIENT_LIBRARY": str(self.library),
            "MFA_CLIENT_SANDBOX_LIBRARY": str(self.sandbox),
        }
        words = ["-m", "pytest", "-q", *self.pytest, f"--junitxml={report}", f"--basetemp={self.temp / 'pytest'}"]
        done = subprocess.run([str(self.python()), *words], cwd=HERE, env=clean(**environment), timeout=LIMIT)
        if not report.is_file():
            raise RuntimeError("pytest did not run")
        for case in ElementTree.parse(report).iter("testcase"):
            kinds = {child.tag for child in case}
            if kinds & {"failure", "error"}:
                self.failed += 1
            elif "skipped" in kinds:
                self.skipped += 1
            else:
                self.passed += 1
        if done.returncode not in (0, 1):
            raise RuntimeError(f"pytest ended with {done.returncode}")

    def wheel(self) -> None:
        # With --setup as a user does it; else without a network.
        words = ["--no-deps", "--quiet", "--wheel-dir", self.temp / "wheels", HERE]
        if not self.setup:
            self.need("hatchling")
            words.insert(0, "--no-build-isolation")
        shutil.rmtree(self.temp / "wheels", ignore_errors=True)
        run(
            [self.python(), "-m", "pip", "wheel", *words],
            MFA_LIBRARY=str(self.library),
            MFA_SANDBOX_LIBRARY=str(self.sandbox),
        )
        expect(re.fullmatch(r"mfa_client-[\d.]+-py3-none-\w+\.whl", self.the_wheel().name), self.the_wheel().name)
        python = self.make_environment("fresh")
        run([python, "-m", "pip", "install", "--quiet", "--no-index", self.the_wheel()])
        home = run([python, "-c", "import mfa_client; print(mfa_client.__file__, mfa_client.version())"])
        expect(str(self.temp) in home, f"it is another one that was imported: {home}")

    def the_wheel(self) -> Path:
        found = list((self.temp / "wheels").glob("*.whl"))
        expect(len(found) == 1, f"there are {len(found)} wheels")
        return found[0]

    def fresh(self) -> Path:
        python = python_in(self.temp / "fresh")
        if not list((self.temp / "wheels").glob("*.whl")):
            raise Skipped("there is no wheel")
        return python

    def readme(self) -> None:
        python = self.fresh()
        readme = (HERE / "README.md").read_text(encoding="utf-8")
        program, printed = re.findall(r"```(?:python|text)\n(.*?)```", readme, re.S)[:2]
        expect(len(program.splitlines()) == 10, "it is no longer ten lines")
        output = run([python, "-c", program])
        expect(output == printed, f"it printed\n{output}")

    def examples(self) -> None:
        python = self.fresh()
        if not EXAMPLES.is_dir():
            raise Skipped("there is no examples/python here")
        server = subprocess.Popen(
            [python, "-c", SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=clean()
        )
        try:
            assert server.stdout is not None
            url = server.stdout.readline().strip()
            check, confirm = [python, EXAMPLES / "check.py"], [python, EXAMPLES / "confirm.py", "--url", url]
            output = run(
                [*check, "--url", url, "--token", "sandbox-approve", "--capillary-url", url]
                + ["--brand", "demo-brand", "--device", "my-device", "--authorized-token", "sandbox-registered"]
            )
            expect(
                output == "authenticator app: linked\nsecond factors: 2, APP, EMAIL\nCapillary MFA: REGISTERED\n",
                output,
            )
            run([*check, "--url", url, "--token", "sandbox-token-expired"], expected=2)
            expect(run([*confirm, "--token", "sandbox-approve"]) == "Approved.\n", "no approval")
            expect(
                run([*confirm, "--token", "sandbox-deny"], expected=1) == "Not approved: DENIED.\n", "no denial"
            )
            run([*confirm, "--token", "sandbox-no-app"], expected=2)
            self.interrupt([*confirm, "--token", "sandbox-phone"])
        finally:
            server.communicate(timeout=30)
        for example in "check.py", "confirm.py", "server.py":
            for words in [], ["--urll", url], ["--url"], ["--url", url, "--bogus", "1"], ["--url", url, "--production"]:
                run([python, EXAMPLES / example, *words], expected=2, MFA_TOKEN="sandbox-approve", MFA_BASE_URL=url)

    def server(self) -> None:
        """examples/python/server.py: each of its stories."""
        example = ServerExample(self.fresh(), EXAMPLES / "server.py", self.temp, clean())
        for name, story in example.stories().items():
            self.step(f"server.py: {name}", story)

    def interrupt(self, words: list[object]) -> None:
        process = subprocess.Popen(
            [str(word) for word in words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=clean()
        )
        assert process.stderr is not None
        for line in process.stderr:
            if "polls" in line:
                break
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=30)
        expect(process.returncode == 1 and output == "Not approved: interrupted.\n", output)
        expect("was withdrawn" in errors, errors)

    def package(self) -> None:
        """What the wheel promises beyond its import."""
        fresh = self.fresh()
        checks = PackageChecks(self.python(), self.the_wheel(), self.temp, run)
        self.step("its page", checks.page)
        self.step("no source distribution", checks.no_source_distribution)
        self.step("python -m mfa_client.sandbox", lambda: checks.sandbox_program(fresh))
        self.step("in a zip application", lambda: checks.zip_application(fresh))
        self.step("PyInstaller", lambda: self.frozen(checks))

    def frozen(self, checks: PackageChecks) -> None:
        self.need("PyInstaller")
        checks.pyinstaller(self.python(), self.site())

    def site(self) -> Path:
        """The wheel, for an environment that has the tools."""
        site = self.temp / "site"
        shutil.rmtree(site, ignore_errors=True)
        pip = [python_in(self.temp / "fresh"), "-m", "pip", "install", "--quiet", "--no-index"]
        run([*pip, "--target", site, self.the_wheel()])
        return site

    def fixture(self) -> None:
        """The wheel's pytest fixture, in an environment that has both."""
        self.fresh()
        self.need("pytest")
        site = self.site()
        folder = self.temp / "program"
        folder.mkdir(exist_ok=True)
        readme = (HERE / "README.md").read_text(encoding="utf-8")
        test = next(code for code in re.findall(r"```python\n(.*?)```", readme, re.S) if "def test_" in code)
        (folder / "test_readme.py").write_text(test, encoding="utf-8")
        words = [self.python(), "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", folder, folder]
        expect("1 passed" in run(words, PYTHONPATH=str(site)), "it did not pass")


SERVER = """
import sys
from mfa_client.sandbox import Sandbox
with Sandbox() as sandbox:
    print(sandbox.url, flush=True)
    sys.stdin.read()
"""


def python_in(folder: Path) -> Path:
    return folder / "bin" / "python"


def clean(**additions: str) -> dict[str, str]:
    """The environment, without what would lead a program to another mfa_client."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MFA_", "PYTHON"))}
    return {**kept, "PYTHONDONTWRITEBYTECODE": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1", **additions}


def succeeds(words: list[object]) -> bool:
    done = subprocess.run([str(word) for word in words], capture_output=True, env=clean(), timeout=LIMIT)
    return done.returncode == 0


def run(words: list[object], expected: int = 0, **additions: str) -> str:
    done = subprocess.run(
        [str(word) for word in words],
        cwd=HERE,
        env=clean(**additions),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        timeout=LIMIT,
    )
    if done.returncode != expected:
        told = (done.stdout + done.stderr).strip()[-3000:]
        raise RuntimeError(f"{Path(str(words[0])).name} ended with {done.returncode}:\n{told}")
    return done.stdout


def expect(condition: object, otherwise: str) -> None:
    if not condition:
        raise RuntimeError(otherwise)


def main(words: Optional[list[str]] = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--library", type=Path, required=True, help="libmfa.so")
    parser.add_argument("--sandbox-library", type=Path, required=True, help="libmfa_sandbox.so")
    parser.add_argument("--temp", type=Path, help="where to work; a new folder by default")
    parser.add_argument("--setup", action="store_true", help="install pytest, mypy and hatchling from PyPI")
    parser.add_argument("pytest", nargs="*", help="after --: pytest's own arguments, as in -k cancel")
    arguments = parser.parse_args(words)
    with tempfile.TemporaryDirectory(prefix="mfa-client-") as new:
        temp = (arguments.temp or Path(new)).resolve()
        temp.mkdir(parents=True, exist_ok=True)
        work = Run(arguments, temp)
        print(f"Python {sys.version.split()[0]}", flush=True)
        work.step("tools", work.prepare)
        work.step("mypy --strict", work.types)
        work.step("pytest", work.tests)
        work.step("wheel", work.wheel)
        work.step("README", work.readme)
        work.step("the package", work.package)
        work.step("examples", work.examples)
        work.step("examples/python/server.py", work.server)
        work.step("pytest fixture", work.fixture)
    print(f"{work.passed} passed, {work.failed} failed, {work.skipped} skipped")
    return 1 if work.failed else 0


if __name__ == "__main__":
    sys.exit(main())
