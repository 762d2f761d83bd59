"""Puts libmfa and the sandbox's library into the wheel, which is then py3-none-<platform>.

Both are compiled by cargo from the tree that this folder is part of, unless the environment names
them: MFA_LIBRARY, and MFA_SANDBOX_LIBRARY (or "none", for a wheel without the sandbox).

The sandbox travels in the same wheel so that `pip install mfa-client` is all that a test needs, and
so that the two always match. It is a file of its own that only `mfa_client.sandbox` opens: no
server code is in libmfa, and production may delete it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any, Optional

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

HERE = Path(__file__).resolve().parent
TREE = HERE.parent.parent
LICENCES = ("LICENSE-APACHE", "LICENSE-MIT", "THIRD-PARTY-NOTICES.txt")


class CustomBuildHook(BuildHookInterface):  # type: ignore[type-arg]
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if self.target_name != "wheel":
            return
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{platform_tag()}"
        files = [library(), sandbox_library()]
        files += [TREE / name for name in LICENCES if (TREE / name).is_file()]
        for file in files:
            if file is not None:
                build_data["force_include"][str(file)] = f"mfa_client/_lib/{file.name}"


def platform_tag() -> str:
    """What this machine is, unless a release says what it built for: `cargo xtask dist`."""
    named = os.environ.get("MFA_WHEEL_PLATFORM")
    if named:
        return named
    return sysconfig.get_platform().replace("-", "_").replace(".", "_")


def library() -> Path:
    return named("MFA_LIBRARY") or compiled("libmfa")


def sandbox_library() -> Optional[Path]:
    wish = os.environ.get("MFA_SANDBOX_LIBRARY", "")
    if wish == "none" or (not wish and os.environ.get("MFA_LIBRARY")):
        return None
    return named("MFA_SANDBOX_LIBRARY") or compiled("mfa-sandbox")


def named(variable: str) -> Optional[Path]:
    value = os.environ.get(variable)
    if not value:
        return None
    file = Path(value).absolute()
    if not file.is_file():
        sys.exit(f"{variable} names {file}, which is not there")
    return file


def compiled(package: str) -> Path:
    if not (TREE / "Cargo.toml").is_file():
        sys.exit("there is no Cargo.toml two folders up: name a built libmfa with MFA_LIBRARY")
    if shutil.which("cargo") is None:
        sys.exit("cargo is needed to compile libmfa; or name a built one with MFA_LIBRARY")
    # Only the cdylib: the sandbox's package also makes a lib, and cargo then leaves link-time optimisation out.
    words = ["rustc", "--release", "--locked", "--package", package, "--lib", "--crate-type", "cdylib"]
    print(f"cargo {' '.join(words)}", file=sys.stderr)
    done = subprocess.run(
        ["cargo", *words, "--message-format", "json-render-diagnostics"],
        cwd=TREE,
        stdout=subprocess.PIPE,
        text=True,
    )
    if done.returncode != 0:
        sys.exit(f"cargo could not build {package}")
    target = package.replace("-", "_") if package != "libmfa" else "mfa"
    for line in done.stdout.splitlines():
        message = json.loads(line)
        if message.get("reason") == "compiler-artifact" and message["target"]["name"] == target:
            for file in message["filenames"]:
                if file.endswith((".so", ".dylib", ".dll")):
                    return Path(file)
    sys.exit(f"cargo built no library from {package}")
