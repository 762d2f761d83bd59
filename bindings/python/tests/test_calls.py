"""Every call and every answer, on the thread and awaited."""

from __future__ import annotations

import asyncio
import copy
import dataclasses
import pickle
from typing import Any

import pytest
from support import AVAILABILITY, QUICK, START, STATUS

from mfa_client import (
    Availability,
    Decision,
    HyperId,
    Method,
    Registration,
    RegistrationState,
    Request,
    Transaction,
    TransactionState,
    TwoFactorTypes,
    WaitOptions,
    control_code,
)
from mfa_client.sandbox import Person, Sandbox


def test_availability(client: HyperId) -> None:
    assert client.availability("sandbox-approve").available is True
    assert client.availability("sandbox-no-app").available is False
    assert asyncio.run(client.availability_async("sandbox-approve")) == Availability(True)


def test_two_factor_types(client: HyperId) -> None:
    types = client.two_factor_types("sandbox-methods-0,1,2,3,9")
    assert types == TwoFactorTypes(frozenset(Method), 5, (0, 1, 2, 3, 9))
    assert Method.SMS in types.methods
    nothing = asyncio.run(client.two_factor_types_async("sandbox-methods-none"))
    assert nothing == TwoFactorTypes(frozenset(), 0, ())


@pytest.mark.parametrize(
    ("behaviour", "decision"),
    [
        ("approve-after-1", Decision.APPROVED),
        ("deny-after-1", Decision.DENIED),
        ("expire-after-1", Decision.EXPIRED),
        ("declined-after-1", Decision.CANCELLED),
        ("failed-after-1", Decision.FAILED),
    ],
)
def test_decisions(client: HyperId, behaviour: str, decision: Decision) -> None:
    answer = client.confirm(f"sandbox-{behaviour}", "Sign in?", wait=QUICK)
    assert answer.decision is decision
    assert answer.approved is (decision is Decision.APPROVED)
    assert answer.id > 2**32 and answer.polls >= 1 and answer.elapsed >= 0
    again = asyncio.run(client.confirm_async(f"sandbox-{behaviour}", "Sign in?", wait=QUICK))
    assert again.decision is decision and again.approved is answer.approved


def test_pending_and_unknown_are_no_approval(client: HyperId) -> None:
    pending = client.status("sandbox-never", client.start("sandbox-never", "Sign in?"))
    assert (pending.decision, pending.approved) == (Decision.PENDING, False)
    assert (pending.raw_status, pending.raw_complete_result) == (0, 0)
    token = "sandbox-approve-after-1+unknown-status"
    unknown = asyncio.run(client.status_async(token, client.start(token, "Sign in?")))
    assert (unknown.decision, unknown.approved) == (Decision.UNKNOWN, False)


def test_start_wait_cancel(client: HyperId, mfa_sandbox: Sandbox) -> None:
    first = client.start("sandbox-phone", "Sign in?")
    mfa_sandbox.decide(first, Person.DENIES)
    assert client.wait("sandbox-phone", first).decision is Decision.DENIED

    async def awaited() -> Transaction:
        second = await client.start_async("sandbox-phone", "Sign in?")
        await client.cancel_async("sandbox-phone", second)
        return await client.wait_async("sandbox-phone", second)

    assert asyncio.run(awaited()).decision is Decision.CANCELLED
    third = client.start("sandbox-phone", "Sign in?")
    client.cancel("sandbox-phone", third)
    assert client.status("sandbox-phone", third).decision is Decision.CANCELLED


def test_the_request_arrives_as_it_was_said(client: HyperId, mfa_sandbox: Sandbox) -> None:
    code = control_code()
    assert len(code) == 2 and code.isdecimal()
    request = Request(
        question="Zahle 12,00 € an Bäckerei Grün? 支払いますか 🥐",
        code=code,
        device_id="gerät-1",
        device_desc="Łódź laptop",
        ip="192.0.2.1",
    )
    found = mfa_sandbox.transaction(client.start("sandbox-phone", request))
    assert found is not None
    assert (found.question, found.code) == (request.question, code)
    assert (found.device_id, found.device_desc, found.ip) == ("gerät-1", "Łódź laptop", "192.0.2.1")
    other = Request(template_id=2, values_json='{"version":1}', code="grün", any_code=True)
    found = mfa_sandbox.transaction(client.start("sandbox-phone", other))
    assert found is not None
    assert (found.template_id, found.values, found.code) == (2, '{"version":1}', "grün")


def test_capillary(mfa_sandbox: Sandbox) -> None:
    with mfa_sandbox.capillary() as client:
        found = client.is_mfa_registered("demo-brand", "my-device", "sandbox-registered")
        assert found == Registration(RegistrationState.REGISTERED, 200, 200)
        found = client.is_mfa_registered("demo-brand", "my-device", "sandbox-not-registered")
        assert found.state is RegistrationState.NOT_REGISTERED
        waiting = client.is_mfa_registered_async("no-mfa-brand", "my-device", "sandbox-registered")
        assert asyncio.run(waiting).state is RegistrationState.NOT_ENABLED


def test_options_reach_the_library(mfa_sandbox: Sandbox) -> None:
    with mfa_sandbox.hyperid(user_agent="Kasse/1.0", headers={"X-One": "1", "X-Two": "b"}) as client:
        client.availability("sandbox-approve")
    sent = mfa_sandbox.last_request(AVAILABILITY) or ""
    assert "Kasse/1.0" in sent and "x-one: 1\r\nx-two: b\r\n" in sent.lower()


def test_tls(client: HyperId) -> None:
    with Sandbox(tls=True, strict=True) as secure, secure.hyperid() as over_tls:
        assert secure.url.startswith("https://")
        assert over_tls.availability("sandbox-approve").available
        assert secure.ca_pem is not None
        with HyperId(secure.url, ca_pem=secure.ca_pem.encode()) as from_bytes:
            assert from_bytes.availability("sandbox-approve").available


def test_wait_options_reach_the_library(client: HyperId, mfa_sandbox: Sandbox) -> None:
    wait = WaitOptions(first_poll=0.3, min_interval=0.05, max_interval=0.05)
    answer = client.confirm("sandbox-approve-after-1", "Sign in?", wait=wait)
    assert answer.polls == 1 and answer.elapsed >= 0.3
    assert mfa_sandbox.request_count(STATUS) == 1 and mfa_sandbox.request_count(START) == 1


ANSWERS: list[Any] = [
    Availability(True),
    Registration(RegistrationState.REGISTERED, 200, 200),
    Transaction(1, Decision.APPROVED, 1, 0, 1, 0.5),
    TransactionState(1, Decision.APPROVED, 1, 0, 1, 0.5),
    TwoFactorTypes(frozenset(), 0, ()),
    *Decision,
    *RegistrationState,
    *Method,
]


@pytest.mark.parametrize("answer", ANSWERS, ids=repr)
def test_no_answer_has_a_truth_value(answer: Any) -> None:
    with pytest.raises(TypeError, match=f"{type(answer).__name__} has no truth value; "):
        bool(answer)
    assert pickle.loads(pickle.dumps(answer)) == answer


def test_nobody_makes_an_approval_but_the_library(client: HyperId) -> None:
    answer = client.confirm("sandbox-approve-after-1", "Sign in?", wait=QUICK)
    assert answer.approved
    assert "use .approved" in str(pytest.raises(TypeError, bool, answer).value)
    with pytest.raises(dataclasses.FrozenInstanceError):
        answer.approved = False  # type: ignore[misc]
    assert copy.copy(answer).approved and pickle.loads(pickle.dumps(answer)).approved
    forged = Transaction(answer.id, Decision.APPROVED, 1, 0, 1, 0.1)
    assert not forged.approved
    assert not dataclasses.replace(answer, polls=2).approved
    with pytest.raises((TypeError, ValueError)):
        dataclasses.replace(forged, approved=True)


def test_numbers_of_a_newer_library() -> None:
    assert Decision(99) is Decision.UNKNOWN
    assert RegistrationState(99) is RegistrationState.NONE
