"""Where the libraries are: MFA_CLIENT_LIBRARY and MFA_CLIENT_SANDBOX_LIBRARY, which only these tests
read. Without them it is the installed wheel's that are tested."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

import mfa_client
from mfa_client import HyperId, sandbox
from mfa_client.sandbox import Sandbox

pytest_plugins = ["mfa_client.pytest_plugin"]


def pytest_configure() -> None:
    for variable, load in (
        ("MFA_CLIENT_LIBRARY", mfa_client.load),
        ("MFA_CLIENT_SANDBOX_LIBRARY", sandbox.load),
    ):
        file = os.environ.get(variable)
        if file:
            load(file)


@pytest.fixture
def mfa_sandbox_options() -> dict[str, Any]:
    """What we send is documented, and nothing else is let pass."""
    return {"strict": True}


@pytest.fixture
def client(mfa_sandbox: Sandbox) -> Iterator[HyperId]:
    with mfa_sandbox.hyperid() as client:
        yield client
