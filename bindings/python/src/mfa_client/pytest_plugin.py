"""The fixture `mfa_sandbox`: a sandbox for one test. pytest finds it in an installed package."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .sandbox import Sandbox


@pytest.fixture
def mfa_sandbox() -> Iterator[Sandbox]:
    """A local provider: give `mfa_sandbox.url` to the program under test."""
    with Sandbox() as sandbox:
        yield sandbox
