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
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any, Optional

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.metadata.plugin.interface import MetadataHookInterface

HERE = Path(__file__).resolve().parent
TREE = HERE.parent.parent
# In the wheel they have these names, whatever the files are called that were named: by how the platform's tag begins.
NAMES = {"macosx": "lib{}.dylib", "win": "{}.dll"}
# Of what is linked into the libraries; this package's own licences stand beside this file.
NOTICES = TREE / "THIRD-PARTY-NOTICES.txt"


class CustomBuildHook(BuildHookInterface):  # type: ignore[type-arg]
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if self.target_name == "sdist":
            sys.exit(
                "there is no source distribution of mfa-client: what it compiles is the tree around this folder. "
                "Build a wheel (pip wheel, or python -m build --wheel), or take the whole repository"
            )
        if version == "editable":
            return
        build_data["pure_python"] = False
        tag = platform_tag()
        build_data["tag"] = f"py3-none-{tag}"
        called = next((name for start, name in NAMES.items() if tag.startswith(start)), "lib{}.so")
        for name, file in (("mfa", library()), ("mfa_sandbox", sandbox_library())):
            if file is not None:
                build_data["force_include"][str(file)] = f"mfa_client/_lib/{called.format(name)}"
        if NOTICES.is_file():
            build_data["force_include"][str(NOTICES)] = f"mfa_client/_lib/{NOTICES.name}"


class CustomMetadataHook(MetadataHookInterface):
    """The package's page, which stands outside the repository."""

    def update(self, metadata: dict[str, Any]) -> None:
        repository = repository_url()
        text = page((HERE / "README.md").read_text(encoding="utf-8"), repository)
        metadata["readme"] = {"content-type": "text/markdown", "text": text}
        metadata["urls"] = {"Source": repository, "Documentation": f"{repository}/blob/main/bindings/python/README.md"}
        if repository is None:
            metadata["urls"] = {}


def repository_url() -> Optional[str]:
    """As the top Cargo.toml says, where it says so."""
    manifest = TREE / "Cargo.toml"
    found = manifest.is_file() and re.search(r'^repository = "(.*?)/?"$', manifest.read_text(encoding="utf-8"), re.M)
    return found[1] if found else None


def page(readme: str, repository: Optional[str]) -> str:
    """Links into the repository lead there; without an address they are the path, to be found in it."""

    def absolute(link: re.Match[str]) -> str:
        words, target = link.groups()
        if "://" in target or target.startswith("#"):
            return link[0]
        path, _, place = target.partition("#")
        inside = os.path.relpath(os.path.join(HERE, path), TREE).replace(os.sep, "/")
        if repository is None:
            return words if words == inside else f"{words} (`{inside}`)"
        return f"[{words}]({repository}/blob/main/{inside}{'#' + place if place else ''})"

    return re.sub(r"\[([^\]]+)\]\(([^)\s]+)\)", absolute, readme)


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
