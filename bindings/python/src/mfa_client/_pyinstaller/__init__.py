"""PyInstaller finds the hooks of this package here, by an entry point."""

from __future__ import annotations

from pathlib import Path


def hook_dirs() -> list[str]:
    return [str(Path(__file__).parent)]
