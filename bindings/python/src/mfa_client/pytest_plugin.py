"""The fixture `mfa_sandbox`: a sandbox for one test. pytest finds it in an installed package.

To start it otherwise, define a fixture `mfa_sandbox_options` of your own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from .sandbox import Sandbox


@pytest.fixture
def mfa_sandbox_options() -> dict[str, Any]:
    """How `mfa_sandbox` is started: the options of `Sandbox`, as in `{"tls": True}`."""
    return {}


@pytest.fixture
def mfa_sandbox(mfa_sandbox_options: dict[str, Any]) -> Iterator[Sandbox]:
    """A local provider: give `mfa_sandbox.url` to the program under test."""
    with Sandbox(**mfa_sandbox_options) as sandbox:
        yield sandbox
