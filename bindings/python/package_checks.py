"""What a wheel promises beyond its import, for run_tests.py: its page, its program, and how it is packed on."""

from __future__ import annotations

import email
import os
import re
import shutil
import subprocess
import zipfile
from pathlib import Path
from typing import Any, Callable, Optional

HERE = Path(__file__).resolve().parent
Run = Callable[..., str]

USES = """
import sys, mfa_client
from mfa_client import HyperId, MfaError
try:
    with HyperId(sys.argv[1], allow_loopback_http=True) as client:
        print(client.confirm("sandbox-approve", "Pay?", timeout=20).approved)
except (MfaError, ImportError) as error:
    print(error)
"""


class PackageChecks:
    def __init__(self, python: Path, wheel: Path, temp: Path, run: Run) -> None:
        self._python = python
        self._wheel = wheel
        self._temp = temp
        self._run = run

    def page(self) -> None:
        """What PyPI shows."""
        with zipfile.ZipFile(self._wheel) as wheel:
            names = wheel.namelist()
            page = wheel.read(next(name for name in names if name.endswith("/METADATA"))).decode()
        told = email.message_from_string(page)
        expect(told["Author"] and told["License-Expression"] == "MIT OR Apache-2.0", "the author or the licence")
        for licence in "LICENSE-MIT", "LICENSE-APACHE":
            expect(any(name.endswith(f".dist-info/licenses/{licence}") for name in names), f"no {licence}")
        expect("mfa_client/_lib/THIRD-PARTY-NOTICES.txt" in names, "no notices of what is linked in")
        links = re.findall(r"\]\(([^)\s]+)\)", str(told.get_payload()))
        dead = [link for link in links if "://" not in link and not link.startswith("#")]
        expect(not dead, f"links that lead nowhere outside the repository: {dead}")

    def no_source_distribution(self) -> None:
        code = "import sys; from hatchling import build; build.build_sdist(sys.argv[1])"
        done = subprocess.run(
            [str(self._python), "-c", code, str(self._temp)], cwd=HERE, stderr=subprocess.PIPE, text=True
        )
        expect(done.returncode == 1 and "there is no source distribution" in done.stderr, done.stderr)

    def sandbox_program(self, installed: Path) -> None:
        with Sandbox(installed) as url:
            expect(self._run([installed, "-c", USES, url]) == "True\n", "no approval")

    def zip_application(self, installed: Path) -> None:
        """A native library cannot be loaded from a zip file: so it is said."""
        folder = self._temp / "application"
        shutil.rmtree(folder, ignore_errors=True)
        with zipfile.ZipFile(self._wheel) as wheel:
            wheel.extractall(folder)
        (folder / "__main__.py").write_text(USES, encoding="utf-8")
        application = self._temp / "application.pyz"
        self._run([installed, "-m", "zipapp", folder, "-o", application])
        told = self._run([installed, "-I", application, "http://127.0.0.1:1"])
        expect("lies in the archive" in told and "load(path)" in told, told)

    def pyinstaller(self, tools: Path, site: Path) -> None:
        """The package's own hooks: libmfa goes along, and the sandbox only with whoever imports it."""
        for imports, carries in ("", False), ("import mfa_client.sandbox\n", True):
            folder = self._temp / "frozen"
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            (folder / "program.py").write_text(imports + USES, encoding="utf-8")
            words: list[Any] = ["--onedir", "--noconfirm", "--log-level", "ERROR", "--distpath", folder, "--workpath", folder / "w"]
            words += ["--specpath", folder, folder / "program.py"]
            self._run([tools, "-m", "PyInstaller", *words], PYTHONPATH=str(site))
            found = {file.name for file in folder.rglob("libmfa*") if "w" not in file.relative_to(folder).parts}
            expect(found == {"libmfa.so"} | ({"libmfa_sandbox.so"} if carries else set()), f"{found}")
            with Sandbox(tools, site) as url:
                expect(self._run([folder / "program" / "program", url]) == "True\n", "no approval")


class Sandbox:
    """`python -m mfa_client.sandbox`"""

    def __init__(self, python: Path, site: Optional[Path] = None) -> None:
        self._process = subprocess.Popen(
            [str(python), "-m", "mfa_client.sandbox", "--stop-with-stdin"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "PYTHONPATH": str(site or "")},
        )

    def __enter__(self) -> str:
        assert self._process.stdout is not None
        told = dict(self._process.stdout.readline().strip().split(": ", 1) for _ in range(5))
        expect(told["ready"] == "yes", f"{told}")
        return told["hyperid"]

    def __exit__(self, *_: object) -> None:
        self._process.communicate(timeout=30)
        expect(self._process.returncode == 0, f"it ended with {self._process.returncode}")


def expect(condition: object, otherwise: str) -> None:
    if not condition:
        raise RuntimeError(otherwise)
