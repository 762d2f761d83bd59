"""The README's functions do what it says. (Its first program and its test are run by run_tests.py.)"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from support import START, STATUS

from mfa_client import CancelToken, HyperId
from mfa_client.sandbox import Person, Sandbox

README = Path(__file__).resolve().parents[1] / "README.md"
pytestmark = pytest.mark.skipif(not README.is_file(), reason="there is no README here")


def function(name: str) -> Any:
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.S)
    names: dict[str, Any] = {}
    exec(next(block for block in blocks if f"def {name}(" in block), names)
    return names[name]


def test_signing_in(client: HyperId, capsys: pytest.CaptureFixture[str]) -> None:
    assert function("sign_in")(client, "sandbox-approve") is True
    assert function("sign_in")(client, "sandbox-deny") is False
    assert capsys.readouterr().out.endswith("DENIED\n")


def test_taking_the_question_back(
    client: HyperId, mfa_sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    cancel_pressed = CancelToken()

    def press() -> None:
        mfa_sandbox.wait_for_requests(1, STATUS)
        cancel_pressed.trigger()

    helper = threading.Thread(target=press)
    helper.start()
    assert function("ask")(client, "sandbox-phone", cancel_pressed) is False
    helper.join()
    assert capsys.readouterr().out == "Taken back.\n"
    assert mfa_sandbox.wait_for_transaction(0.01) is None, "it is still on the phone"


def test_a_pool_s_calls_ended_by_a_token(
    client: HyperId, mfa_sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    begin = function("begin")
    may_pay = begin.__globals__["may_pay"]
    assert may_pay(client, "sandbox-approve") is True
    polls = mfa_sandbox.request_count(STATUS)
    with ThreadPoolExecutor(1) as pool:
        begin(client, pool, ["sandbox-phone", "sandbox-phone"])
        started = mfa_sandbox.wait_for_transaction()
        assert mfa_sandbox.wait_for_requests(polls + 1, STATUS)
        begin.__globals__["at_exit"].trigger()
    assert capsys.readouterr().out == f"Request {started} is still on the phone.\n"
    assert mfa_sandbox.push_count() == 2, "the second was asked although its turn had not come"


def test_an_answer_that_comes_first_counts(client: HyperId, mfa_sandbox: Sandbox) -> None:
    def approve() -> None:
        started = mfa_sandbox.wait_for_transaction()
        assert started is not None
        mfa_sandbox.decide(started, Person.APPROVES)

    helper = threading.Thread(target=approve)
    helper.start()
    assert function("ask")(client, "sandbox-phone", CancelToken()) is True
    helper.join()


def test_awaiting(client: HyperId) -> None:
    saved: set[int] = set()
    sign_in = function("sign_in_async")
    assert asyncio.run(sign_in(client, "sandbox-approve", saved)) is True
    assert asyncio.run(sign_in(client, "sandbox-deny", saved)) is False
    assert len(saved) == 2


def test_a_cancelled_task_of_unknown_outcome(
    client: HyperId, mfa_sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    async def story() -> None:
        task = asyncio.ensure_future(function("sign_in_async")(client, "sandbox-silent@start", set()))
        while not mfa_sandbox.request_count(START) and not task.done():
            await asyncio.sleep(0.002)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(story())
    assert capsys.readouterr().out.startswith("The person may have been asked")


def test_events(client: HyperId, capsys: pytest.CaptureFixture[str]) -> None:
    tokens = {"ann": "sandbox-approve", "bob": "sandbox-deny", "eve": "sandbox-no-app"}
    assert function("ask_all")(client, tokens) == {"ann": True, "bob": False, "eve": False}
    assert capsys.readouterr().out == "eve AUTHENTICATOR_NOT_LINKED\n"


def test_ctrl_c_takes_the_question_back(client: HyperId, mfa_sandbox: Sandbox) -> None:
    def press() -> None:
        if mfa_sandbox.wait_for_requests(1, STATUS):
            os.kill(os.getpid(), signal.SIGINT)

    helper = threading.Thread(target=press)
    helper.start()
    with pytest.raises(KeyboardInterrupt):
        function("ask_or_take_back")(client, "sandbox-phone")
    helper.join()
    assert mfa_sandbox.wait_for_transaction(0.01) is None, "it is still on the phone"


def test_ctrl_c_while_nobody_knows_the_id(
    client: HyperId, mfa_sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    def press() -> None:
        if mfa_sandbox.wait_for_requests(1, START):
            os.kill(os.getpid(), signal.SIGINT)

    helper = threading.Thread(target=press)
    helper.start()
    with pytest.raises(KeyboardInterrupt):
        function("ask_or_take_back")(client, "sandbox-silent@start")
    helper.join()
    assert capsys.readouterr().out.startswith("The person may have been asked")
