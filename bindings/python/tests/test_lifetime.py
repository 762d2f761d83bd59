"""Who lives how long: closing, threads, the garbage collector, thousands of rounds."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
import time
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from support import AVAILABILITY, QUICK, outcome

import mfa_client
from mfa_client import (
    CallerError,
    CallTimeoutError,
    Cancelled,
    CancelToken,
    ClosedError,
    HyperId,
    TransactionState,
    WaitOptions,
    _library,
)
from mfa_client.sandbox import Sandbox


def test_use_after_close(mfa_sandbox: Sandbox) -> None:
    with mfa_sandbox.hyperid() as client:
        assert repr(client) == "<HyperId open>"
    client.close()
    assert repr(client) == "<HyperId closed>" and client.closed
    token = CancelToken()
    assert repr(token) == "<CancelToken not triggered>"
    token.trigger()
    assert repr(token) == "<CancelToken triggered>"
    with mfa_sandbox.hyperid() as client, client.waiter() as waiter:
        assert repr(waiter) == "<Waiter open, 0 waits>"
    assert repr(waiter) == "<Waiter closed>"
    assert repr(mfa_sandbox) == f"<Sandbox open, {mfa_sandbox.url}>"
    client.close()
    with pytest.raises(ClosedError, match="this HyperId is closed") as closed:
        client.availability("sandbox-approve")
    assert isinstance(closed.value, CallerError)
    with pytest.raises(ClosedError):
        asyncio.run(client.confirm_async("sandbox-approve", "Sign in?"))
    with pytest.raises(ClosedError), client:
        pass
    with mfa_sandbox.capillary() as capillary:
        pass
    with pytest.raises(ClosedError, match="this Capillary is closed"):
        capillary.is_mfa_registered("demo-brand", "my-device", "sandbox-registered")


class Freed:
    """Counts what is freed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        plain = _library.library().mfa_hyperid_free

        def counting(pointer: int) -> None:
            self.count += 1
            plain(pointer)

        monkeypatch.setattr(_library.library(), "mfa_hyperid_free", counting)


@pytest.fixture
def freed(monkeypatch: pytest.MonkeyPatch) -> Iterator[Freed]:
    yield Freed(monkeypatch)


def test_close_during_a_call(mfa_sandbox: Sandbox, freed: Freed) -> None:
    client = mfa_sandbox.hyperid()
    cancel = CancelToken()
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(client.availability, "sandbox-silent", timeout=30, cancel=cancel)
        assert mfa_sandbox.wait_for_requests(1)
        client.close()
        assert freed.count == 0 and not call.done()
        with pytest.raises(ClosedError):
            client.availability("sandbox-approve")
        cancel.trigger()
        assert type(call.exception(timeout=5)) is Cancelled
    # Even though the exception with its traceback is still there.
    assert freed.count == 1


def test_close_within_a_callback(mfa_sandbox: Sandbox, freed: Freed) -> None:
    client = mfa_sandbox.hyperid()

    def close(state: TransactionState) -> None:
        client.close()
        assert freed.count == 0

    assert client.confirm("sandbox-approve", "?", wait=QUICK, on_update=close).approved
    assert freed.count == 1


def test_close_before_a_coroutine_runs(mfa_sandbox: Sandbox, freed: Freed) -> None:
    client = mfa_sandbox.hyperid()

    async def story() -> bool:
        task = asyncio.ensure_future(client.availability_async("sandbox-slow-200"))
        while mfa_sandbox.request_count(AVAILABILITY) < 1:
            await asyncio.sleep(0.002)
        client.close()
        return (await task).available

    assert asyncio.run(story())
    assert freed.count == 1


def test_a_client_that_nobody_closes(mfa_sandbox: Sandbox, freed: Freed) -> None:
    client = mfa_sandbox.hyperid(log=lambda level, message: None)
    gone = weakref.ref(client)
    client.availability("sandbox-approve")
    del client
    gc.collect()
    assert gone() is None and freed.count == 1


def test_a_client_that_was_refused(freed: Freed) -> None:
    with pytest.raises(CallerError):
        HyperId("nonsense")
    gc.collect()
    assert freed.count == 0


def test_a_client_without_a_name_of_its_own(mfa_sandbox: Sandbox) -> None:
    """Nothing but the call refers to the client while it runs."""
    stop = threading.Event()

    def collect() -> None:
        while not stop.is_set():
            gc.collect()

    collector = threading.Thread(target=collect)
    collector.start()
    try:
        assert mfa_sandbox.hyperid().availability("sandbox-slow-200").available
        given: Any = {"wait": WaitOptions(min_interval=0.02), "on_update": lambda state: None}
        assert mfa_sandbox.hyperid().confirm("sandbox-approve", "?", **given).approved
        assert asyncio.run(mfa_sandbox.hyperid().confirm_async("sandbox-approve", "?", **given)).approved
    finally:
        stop.set()
        collector.join()


def test_eight_threads_on_one_client(client: HyperId, mfa_sandbox: Sandbox) -> None:
    def work(number: int) -> int:
        for turn in range(50):
            assert client.availability("sandbox-approve").available
            assert not client.availability("sandbox-no-app").available
            token = f"sandbox-{'approve' if number % 2 else 'deny'}-after-1#p{number}"
            if turn % 10 == 0:
                assert client.confirm(token, f"{number}?", wait=QUICK).approved is bool(number % 2)
        return number

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(work, range(8))) == list(range(8))
    assert mfa_sandbox.connection_count() <= 40


def test_the_interpreter_is_free_during_calls(client: HyperId) -> None:
    client.availability("sandbox-approve")
    began = time.monotonic()
    with ThreadPoolExecutor(8) as pool:
        futures = [pool.submit(client.availability, f"sandbox-slow-300#{n}") for n in range(8)]
        turns = 0
        while not all(future.done() for future in futures):
            turns += 1
    assert all(future.result().available for future in futures)
    assert time.monotonic() - began < 8 * 0.3 and turns > 100


def resident() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc")
def test_thousands_of_rounds(mfa_sandbox: Sandbox) -> None:
    def rounds(count: int) -> None:
        for number in range(count):
            with mfa_sandbox.hyperid(log=lambda level, message: None) as client:
                cancel = CancelToken()
                given: Any = {"on_update": lambda state: None, "refresh_access_token": lambda: None}
                with pytest.raises(CallerError):
                    client.wait("sandbox-approve", -1, cancel=cancel, **given)
                with pytest.raises(CallerError):
                    client.status("sandbox-approve", 0, cancel=cancel)
                if number % 20 == 0:
                    client.availability("sandbox-approve")
                    with pytest.raises(CallTimeoutError):
                        client.start("sandbox-silent", "?", timeout=0.001)

    rounds(300)
    gc.collect()
    memory, files = resident(), descriptors()
    rounds(2_000)
    gc.collect()
    assert resident() - memory < 6_000_000
    assert descriptors() <= files + 5


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_uses_connections_of_its_own() -> None:
    program = """
with sandbox.Sandbox(strict=True) as server, server.hyperid() as client:
    assert client.availability("sandbox-approve").available
    child = os.fork()
    if child == 0:
        answer = client.availability("sandbox-approve", timeout=10)
        client.close()
        os._exit(0 if answer.available else 1)
    _, status = os.waitpid(child, 0)
    assert client.availability("sandbox-approve").available
    print(status, server.connection_count())
"""
    output, errors = outcome("import warnings\nwarnings.simplefilter('ignore')\n" + program)
    assert output == "0 2\n", errors


def test_loading_from_many_threads_at_once() -> None:
    program = """
from concurrent.futures import ThreadPoolExecutor
with ThreadPoolExecutor(8) as pool:
    print({pool.submit(mfa_client.version).result() for _ in range(50)} == {mfa_client.__version__})
"""
    assert outcome(program) == ("True\n", "")
    assert mfa_client.version()
