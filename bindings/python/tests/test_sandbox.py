"""The sandbox's own surface."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
from support import AVAILABILITY, CANCEL, START, child, next_line, rest

from mfa_client import ClosedError, Decision, HyperId, MfaError
from mfa_client import Request as Question
from mfa_client.exceptions import (
    AccessDeniedError,
    InvalidArgumentError,
    TokenExpiredError,
    TokenInvalidError,
)
from mfa_client.sandbox import Person, Sandbox, SandboxError, behaviours


def test_a_person_decides(mfa_sandbox: Sandbox) -> None:
    ends = {
        Person.APPROVES: Decision.APPROVED,
        Person.DENIES: Decision.DENIED,
        Person.DECLINES: Decision.CANCELLED,
        Person.FAILS: Decision.FAILED,
        Person.LETS_EXPIRE: Decision.EXPIRED,
    }
    with mfa_sandbox.hyperid() as client:
        for person, decision in ends.items():
            started = client.start("sandbox-phone", "Sign in?")
            assert mfa_sandbox.wait_for_transaction() == started
            mfa_sandbox.decide(started, person)
            assert client.status("sandbox-phone", started).decision is decision
    assert mfa_sandbox.push_count() == len(ends)
    with pytest.raises(SandboxError, match="ended already"):
        mfa_sandbox.decide(started, Person.APPROVES)
    with pytest.raises(SandboxError, match="no such transaction"):
        mfa_sandbox.decide(1, Person.APPROVES)


def test_transactions(mfa_sandbox: Sandbox) -> None:
    assert mfa_sandbox.transaction(1) is None
    assert mfa_sandbox.wait_for_transaction(0.01) is None
    with Sandbox(life=30, strict=True) as sandbox, sandbox.hyperid() as client:
        found = sandbox.transaction(client.start("sandbox-phone#ann", "Sign in?"))
        assert found is not None
        assert (found.status, found.question, found.polls) == (0, "Sign in?", 0)
        assert 0 < found.remaining <= 30


def test_the_first_id_and_what_is_strict(mfa_sandbox: Sandbox) -> None:
    unusual = {"template_id": 1, "values": ""}
    with Sandbox(first_id=41) as sandbox:
        assert _start(sandbox, unusual) == ({"result": 0, "transaction_id": 41}, True)
    assert _start(mfa_sandbox, unusual) == ({"result": -8}, False)
    with pytest.raises(InvalidArgumentError, match="first_id"):
        Sandbox(first_id=0)


def _start(sandbox: Sandbox, body: dict[str, Any]) -> tuple[Any, bool]:
    """The answer, and whether the sandbox called the request unusual."""
    headers = {"Authorization": "Bearer sandbox-phone", "Content-Type": "application/json"}
    request = Request(f"{sandbox.url}{START}", json.dumps(body).encode(), headers)
    with urlopen(request) as answer:
        return json.load(answer), "Sandbox-Unusual" in answer.headers


def test_tokens_and_brands(mfa_sandbox: Sandbox) -> None:
    with mfa_sandbox.hyperid() as client:
        mfa_sandbox.add_token("any-text", "no-app")
        assert not client.availability("any-text").available
        mfa_sandbox.expire_token("any-text")
        with pytest.raises(TokenExpiredError):
            client.availability("any-text")
        mfa_sandbox.revoke_token("any-text")
        with pytest.raises(TokenInvalidError):
            client.availability("any-text")
    with pytest.raises(SandboxError, match=r"'aprove': no such behaviour; did you mean approve\?"):
        mfa_sandbox.add_token("any-text", "aprove")
    mfa_sandbox.add_brand("my-brand", True)
    with mfa_sandbox.capillary() as capillary:
        assert capillary.is_mfa_registered("my-brand", "my-device", "sandbox-registered").raw_code == 200


def test_people(mfa_sandbox: Sandbox) -> None:
    mfa_sandbox.add_user("ann", methods=[1, 2], devices=["one", "two"], registered=False)
    mfa_sandbox.issue_token("anns", "ann")
    with mfa_sandbox.hyperid() as client, mfa_sandbox.capillary() as capillary:
        assert client.two_factor_types("anns").raw == (1, 2)
        assert capillary.is_mfa_registered("demo-brand", "one", "anns").raw_code == 404
        started = client.start("anns", Question("Pay?", device_id="two"))
        found = mfa_sandbox.transaction(started)
        assert found is not None and (found.user, found.status) == ("ann", 0)
        with pytest.raises(MfaError):
            client.start("anns", Question("Pay?", device_id="three"))
        mfa_sandbox.add_user("ann", app_linked=False, methods=[], behaviour="slow-1")
        assert not client.availability("anns").available
        assert client.two_factor_types("anns").raw == ()
        mfa_sandbox.issue_token("narrow", "ann", scopes=["mfa-client"], lives=60)
        with pytest.raises(AccessDeniedError):
            client.two_factor_types("narrow")
        token = mfa_sandbox.issue_jwt("bob", lives=60)
        assert token.count(".") == 2
        mfa_sandbox.decide(client.start(token, "Pay?"), Person.DENIES)
    assert [one.user for one in mfa_sandbox.transactions()] == ["ann", "bob"]
    with pytest.raises(SandboxError, match="did you mean approve"):
        mfa_sandbox.add_user("ann", behaviour="aprove")
    with pytest.raises(TypeError, match="a list of texts"):
        mfa_sandbox.issue_token("t", "ann", scopes="mfa-client")


def test_any_token_is_somebodys() -> None:
    with Sandbox(any_token="carl", strict=True) as sandbox, sandbox.hyperid() as client:
        found = sandbox.transaction(client.start("from-elsewhere", "Pay?"))
        assert found is not None and (found.user, found.status) == ("carl", 0)
        with pytest.raises(TokenInvalidError):
            client.availability("sandbox-aprove")


def test_a_new_start(mfa_sandbox: Sandbox) -> None:
    with mfa_sandbox.hyperid() as client:
        mfa_sandbox.set_first_id(7)
        assert [client.start("sandbox-phone", "Pay?") for _ in range(2)] == [7, 8]
        with pytest.raises(SandboxError):
            mfa_sandbox.set_first_id(8)
        mfa_sandbox.reset(7)
        assert (mfa_sandbox.transactions(), mfa_sandbox.requests(), mfa_sandbox.push_count()) == ([], [], 0)
        with pytest.raises(MfaError, match="was started before"):
            client.start("sandbox-phone", "Pay?")
    # A client that knows the ids of before does not take one twice.
    with mfa_sandbox.hyperid() as client:
        mfa_sandbox.reset(7)
        assert client.start("sandbox-phone", "Pay?") == 7
        mfa_sandbox.reset()
        assert client.start("sandbox-phone", "Pay?") == 8


def test_the_interface_over_http() -> None:
    with Sandbox(control_key="a-key-of-our-own", allow_origins=["http://localhost:3000"]) as sandbox:
        assert sandbox.control_key == "a-key-of-our-own"
        with urlopen(Request(sandbox.control_url, headers={"Sandbox-Key": sandbox.control_key})) as answer:
            assert json.load(answer)["transactions"] == 0
    for wrong, why in [
        ({"allow_origins": ["*"]}, "not a page's origin"),
        ({"control_key": "short"}, "16 to 128"),
        ({"any_token": ""}, "must have a name"),
    ]:
        with pytest.raises(SandboxError, match=why):
            Sandbox(**wrong)  # type: ignore[arg-type]


def test_each_request_that_arrived(mfa_sandbox: Sandbox) -> None:
    with mfa_sandbox.hyperid() as client:
        client.availability("sandbox-approve")
        client.start("sandbox-phone", "é" * 3000)
        assert mfa_sandbox.open_connections() >= 1
    first, second = mfa_sandbox.requests()
    assert (first.method, first.target, first.body) == ("POST", AVAILABILITY, b"{}")
    assert first.header("authorization") == "Bearer sandbox-approve"
    assert first.header("x-nothing") is None
    assert json.loads(second.body)["template_id"] == 4 and "é" * 3000 in second.body.decode()
    assert mfa_sandbox.requests(START) == [second]
    mfa_sandbox.clear_requests()
    assert (mfa_sandbox.requests(), mfa_sandbox.request_count()) == ([], 2)


def test_what_arrived(mfa_sandbox: Sandbox) -> None:
    assert mfa_sandbox.last_request() is None
    with mfa_sandbox.hyperid() as client:
        client.availability("sandbox-approve")
    assert mfa_sandbox.wait_for_requests(1, AVAILABILITY)
    assert not mfa_sandbox.wait_for_requests(2, AVAILABILITY, timeout=0.01)
    assert (mfa_sandbox.request_count(), mfa_sandbox.request_count(CANCEL)) == (1, 0)
    assert mfa_sandbox.connection_count() == 1
    text = mfa_sandbox.last_request(AVAILABILITY) or ""
    assert text.startswith(f"POST {AVAILABILITY} HTTP/1.1\r\n") and text.endswith("{}")


def test_closed(mfa_sandbox: Sandbox) -> None:
    sandbox = Sandbox(strict=True)
    sandbox.close()
    sandbox.close()
    with pytest.raises(ClosedError, match="this Sandbox is closed"):
        sandbox.push_count()
    port = int(mfa_sandbox.url.rpartition(":")[2])
    with pytest.raises(SandboxError, match=f"port {port}: it is taken"):
        Sandbox(port=port, strict=True)
    assert mfa_sandbox.phone_url.startswith("http://127.0.0.1:")


def test_behaviours() -> None:
    assert "approve" in behaviours()


PROGRAM = """
import runpy
sys.argv[0:1] = []
sys.argv.insert(0, "sandbox")
runpy.run_module("mfa_client.sandbox", run_name="__main__")
"""


def test_the_program() -> None:
    """It says where it is, serves the phone page, and ends by Ctrl-C."""
    with child(PROGRAM, "--life", "60", "--first-id", "41") as process:
        told = dict(next_line(process).strip().split(": ", 1) for _ in range(4))
        assert next_line(process) == "ready: yes\n"
        assert list(told) == ["hyperid", "capillary", "phone", "token"]
        with urlopen(told["phone"]) as page:
            assert "Approve" in page.read().decode()
        with HyperId(told["hyperid"], allow_loopback_http=True) as client:
            assert client.start(told["token"], "?") == 41
        process.send_signal(signal.SIGINT)
        output, errors = rest(process)
    assert (output, process.returncode) == ("", 0) and told["phone"] in errors


@pytest.mark.parametrize("words", [["--bogus"], ["--por", "1"], ["--ca-out", "file"], ["more"], ["--port", "x"]])
def test_the_program_refuses_what_it_does_not_know(words: list[str]) -> None:
    with child(PROGRAM, *words) as process:
        output, errors = rest(process)
    assert (output, process.returncode) == ("", 2) and errors


def test_the_program_with_tls_and_a_taken_port(tmp_path: Path, mfa_sandbox: Sandbox) -> None:
    with child(PROGRAM, "--tls", "--ca-out", str(tmp_path / "ca.pem"), "--stop-with-stdin", stdin=True) as process:
        url = next_line(process).strip().partition(": ")[2]
        while next_line(process) not in ("ready: yes\n", ""):
            pass
        with HyperId(url, ca_pem=(tmp_path / "ca.pem").read_bytes()) as client:
            assert client.availability("sandbox-approve").available
        assert process.stdin is not None
        process.stdin.close()
        assert (*rest(process)[:1], process.returncode) == ("", 0)
    with child(PROGRAM, "--port", mfa_sandbox.url.rpartition(":")[2]) as process:
        output, errors = rest(process)
    assert (output, process.returncode) == ("", 1) and "it is taken" in errors
