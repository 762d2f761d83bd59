"""A program that uses every public name as it is meant. Type checkers must find nothing in it; nobody runs it."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Optional

import mfa_client
from mfa_client import (
    END_WAIT,
    AnswerError,
    Availability,
    AwaitedOnUpdate,
    AwaitedRefreshToken,
    CallerError,
    CallTimeoutError,
    Cancelled,
    CancelToken,
    Capillary,
    ClosedError,
    CredentialError,
    Decision,
    EndWait,
    Event,
    EventKind,
    HyperId,
    InternalError,
    LibraryError,
    Method,
    MfaError,
    NetworkError,
    OnUpdate,
    Provider,
    ProviderError,
    RefreshToken,
    Registration,
    RegistrationState,
    Request,
    Transaction,
    TransactionState,
    TwoFactorTypes,
    Waiter,
    WaitOptions,
    control_code,
    exceptions,
    load,
    outcome_of,
    version,
)
from mfa_client.sandbox import Person, Sandbox, SandboxError, SandboxTransaction, behaviours

saved: set[int] = set()


def on_update(so_far: TransactionState) -> Optional[EndWait]:
    saved.add(so_far.id)
    return END_WAIT if so_far.elapsed > 60 else None


def save(so_far: TransactionState) -> None:
    saved.add(so_far.id)


async def save_later(so_far: TransactionState) -> None:
    await asyncio.sleep(0)


async def end_later(so_far: TransactionState) -> Optional[EndWait]:
    return END_WAIT if so_far.decision is Decision.PENDING else None


def fresh() -> Optional[str]:
    return None


async def fresh_later() -> str:
    return "t"


told: list[OnUpdate] = [on_update, save]
told_later: list[AwaitedOnUpdate] = [on_update, save, save_later, end_later]
refreshes: list[RefreshToken] = [fresh]
refreshes_later: list[AwaitedRefreshToken] = [fresh, fresh_later]

WAIT = WaitOptions(
    cancel_on_timeout=True, withdraw_on_cancel=True, first_poll=0.5, min_interval=1, max_interval=10.0
)
REQUEST = Request("?", code=control_code(), any_code=False, device_id="d", device_desc="d", ip="::1")
OTHER = Request(template_id=2, values_json="{}")


def blocking(client: HyperId, token: str, cancel: CancelToken) -> bool:
    there: Availability = client.availability(token, timeout=5, cancel=cancel)
    types: TwoFactorTypes = client.two_factor_types(token, timeout=5.5)
    numbers: tuple[int, ...] = types.raw
    if not there.available or Method.APP not in types.methods or types.count != len(numbers):
        return False
    started: int = client.start(token, "?", cancel=cancel)
    state: Transaction = client.status(token, started)
    client.cancel(token, started, timeout=1)
    client.wait(token, started, wait=WAIT, on_update=save, refresh_access_token=fresh, timeout=3, cancel=cancel)
    client.confirm(token, OTHER, on_update=lambda so_far: saved.add(so_far.id))
    answer = client.confirm(token, REQUEST, wait=WAIT, on_update=on_update, refresh_access_token=fresh)
    print(state.id, state.decision.name, state.raw_status, state.raw_complete_result, state.polls, state.as_state())
    return answer.approved


async def awaited(client: HyperId, token: str) -> bool:
    there: Availability = await client.availability_async(token)
    types: TwoFactorTypes = await client.two_factor_types_async(token, timeout=1)
    started: int = await client.start_async(token, REQUEST)
    state: Transaction = await client.status_async(token, started)
    await client.cancel_async(token, started)
    try:
        await client.wait_async(token, started, on_update=save_later, refresh_access_token=fresh_later)
        await client.wait_async(token, started, on_update=end_later, refresh_access_token=fresh)
        answer = await client.confirm_async(token, "?", on_update=save, timeout=60)
        print(there, types, state)
        return answer.approved
    except asyncio.CancelledError as error:
        outcome = outcome_of(error)
        if outcome is not None and outcome.transaction is not None and not outcome.withdrawn:
            print(outcome.transaction.id)
        raise


def events(client: HyperId, tokens: list[str]) -> int:
    waiter: Waiter
    approved = 0
    with client.waiter(max_connections=8, max_requests_per_second=100) as waiter:
        for number, token in enumerate(tokens):
            ticket: int = waiter.confirm(token, "?", data=number, wait=WAIT, refresh_access_token=fresh)
            waiter.wait(token, 7, data=number, timeout=5, report_updates=True, ask_for_token=True)
            waiter.cancel(ticket, withdraw=True)
        one: Optional[Event] = waiter.next(0.5)
        if one is not None and one.kind is EventKind.TOKEN_REFUSED:
            waiter.give_token(one.ticket, fresh())
        for event in waiter:
            if event.kind is EventKind.ENDED:
                approved += event.result().approved
            elif event.kind is EventKind.STARTED and event.transaction is not None:
                saved.add(event.transaction.id)
            elif event.kind is EventKind.UPDATE:
                print(event.data, event.error)
        waiter.wake()
        waiter.cancel_all()
        print(len(waiter), waiter.fd, waiter.closed)
    return approved


def registered(token: str) -> bool:
    with Capillary("https://example.invalid", ca_pem="x", client_cert_pem=b"x", client_key_pem=b"x") as client:
        found: Registration = client.is_mfa_registered("b", "d", token, timeout=3)
        print(found.raw_code, found.http_status, client.closed, client.is_mfa_registered_async("b", "d", token))
        return found.state is RegistrationState.REGISTERED


def explain(error: MfaError) -> None:
    provider: Optional[Provider] = error.provider
    who = {
        CallerError: "we", NetworkError: "the network", AnswerError: "the server", CredentialError: "the issuer",
        ProviderError: "the provider", Cancelled: "nobody", InternalError: "libmfa",
    }
    print([name for kind, name in who.items() if isinstance(error, kind)], provider, error.code, error.name)
    print(error.message, error.provider_code, error.http_status, error.retry_after, error.attempts, error.os_error)
    print(error.retryable, error.outcome_unknown, isinstance(error, (ClosedError, exceptions.ClosedError)))


def tested() -> None:
    print(behaviours(), mfa_client.__version__, version())
    with Sandbox(port=0, tls=True, life=10, strict=True, first_id=1) as sandbox:
        with sandbox.hyperid(log=logging.getLogger("mfa").log, log_level=logging.INFO) as client:
            started = client.start("sandbox-phone", "?")
        sandbox.add_token("t", "deny")
        sandbox.expire_token("t")
        sandbox.revoke_token("t")
        sandbox.add_brand("b", True)
        sandbox.decide(started, Person.APPROVES)
        found: Optional[SandboxTransaction] = sandbox.transaction(started)
        print(found, sandbox.url, sandbox.capillary_url, sandbox.phone_url, sandbox.ca_pem, sandbox.capillary())
        print(sandbox.push_count(), sandbox.request_count(), sandbox.connection_count(), sandbox.last_request())
        print(sandbox.wait_for_transaction(1), sandbox.wait_for_requests(1, timeout=1))


def main() -> None:
    try:
        load(Path("libmfa.so"))
        with HyperId(
            "https://example.invalid",
            allow_loopback_http=False,
            proxy_url="http://proxy.invalid",
            proxy_from_env=False,
            headers={"X-One": "1"},
            user_agent="shop/1.0",
            request_timeout=5,
            connect_timeout=2.5,
            max_idle_connections=4,
        ) as client:
            cancel = CancelToken(at_exit=True)
            print(blocking(client, "t", cancel), asyncio.run(awaited(client, "t")), events(client, ["t"]))
            cancel.trigger()
            print(cancel.triggered, registered("t"))
    except (CallTimeoutError, exceptions.RateLimitedError, SandboxError) as error:
        explain(error)
    except LibraryError as why:
        print(why)
