"""What several tests use."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Callable

from mfa_client import WaitOptions

START = "/mfa-client/transaction/start/v2"
STATUS = "/mfa-client/transaction/status-get"
CANCEL = "/mfa-client/transaction/cancel"
AVAILABILITY = "/mfa-client/availability-check"

TREE = Path(__file__).resolve().parents[3]
QUICK = WaitOptions(min_interval=0.05)


def eventually(condition: Callable[[], bool], within: float = 10.0) -> None:
    """Waits until the condition holds; fails if it does not in time."""
    end = time.monotonic() + within
    while not condition():
        assert time.monotonic() < end, "it did not come to that in time"
        time.sleep(0.002)


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    began = time.monotonic()
    yield
    assert time.monotonic() - began < seconds


# A program in a process of its own begins so.
PRELUDE = """
import os, sys
import mfa_client
from mfa_client import *
from mfa_client import sandbox
for variable, load in (("MFA_CLIENT_LIBRARY", mfa_client.load), ("MFA_CLIENT_SANDBOX_LIBRARY", sandbox.load)):
    if os.environ.get(variable):
        load(os.environ[variable])
"""


@contextmanager
def child(
    program: str, *arguments: str, stdin: bool = False, before: str = ""
) -> Iterator[subprocess.Popen[str]]:
    source = Path(__file__).resolve().parents[1] / "src"
    paths = [str(source)] if os.environ.get("MFA_CLIENT_LIBRARY") else []
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        [sys.executable, "-X", "faulthandler", "-c", before + PRELUDE + program, *arguments],
        env=environment,
        stdin=subprocess.PIPE if stdin else None,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def next_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def rest(process: subprocess.Popen[str], within: float = 30.0) -> tuple[str, str]:
    """What it still writes until it ends. (`communicate` would lose what `readline` has taken in.)"""
    assert process.stdout is not None and process.stderr is not None
    # One that hangs tells where before it dies.
    watchdog = threading.Timer(within, process.send_signal, [signal.SIGABRT])
    watchdog.start()
    try:
        output, errors = process.stdout.read(), process.stderr.read()
        process.wait()
        return output, errors
    finally:
        watchdog.cancel()


def outcome(program: str, *arguments: str, before: str = "") -> tuple[str, str]:
    with child(program, *arguments, before=before) as process:
        return rest(process)
