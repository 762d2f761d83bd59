"""What a type checker must object to, each in the line that says so, and nowhere else. Nobody runs it."""

from __future__ import annotations

from typing import Optional

from mfa_client import CancelToken, Event, HyperId, Request, TransactionState, Waiter, WaitOptions


async def save_later(so_far: TransactionState) -> None: ...


async def fresh_later() -> Optional[str]: ...


def as_redis_does(so_far: TransactionState) -> bool:
    return True


def confirming(client: HyperId, token: str) -> None:
    client.confirm(token, "?", on_update=save_later)  # wrong: nobody would await it
    client.wait(token, 1, on_update=save_later)  # wrong: nobody would await it
    client.confirm(token, "?", refresh_access_token=fresh_later)  # wrong: nobody would await it
    client.confirm(token, "?", on_update=as_redis_does)  # wrong: only END_WAIT ends a wait
    client.confirm(token, 12)  # wrong: no request
    client.confirm(token, "?", wait={})  # wrong: no options
    client.confirm(token, "?", timeout="5")  # wrong: no number
    client.confirm(token, "?", cancel=True)  # wrong: no token
    client.confirm(12, "?")  # wrong: no text
    client.status(token, "12")  # wrong: no number
    WaitOptions(on_update=as_redis_does)  # wrong: it belongs to the call
    Request("?", 12)  # wrong: a code is text


async def awaiting(client: HyperId, token: str) -> None:
    await client.confirm_async(token, "?", on_update=as_redis_does)  # wrong: only END_WAIT ends a wait
    await client.confirm_async(token, "?", wait=CancelToken())  # wrong: no options


def waiting(waiter: Waiter, token: str) -> None:
    waiter.confirm(token, "?", refresh_access_token=fresh_later)  # wrong: nobody would await it
    waiter.cancel("1")  # wrong: no ticket


def with_the_answer(client: HyperId, token: str, state: TransactionState, event: Event) -> None:
    print(state.approved)  # wrong: only a call's answer has it
    print(event.approved)  # wrong: only a call's answer has it
    client.confirm(token, "?").approved = True  # wrong: nobody makes an approval


def an_answer_as_a_condition(client: HyperId, token: str) -> None:
    if client.confirm(token, "?"):  # wrong: true for "no", too
        print("in")  # mypy says it here


def a_state_as_a_condition(client: HyperId, token: str) -> None:
    if client.availability(token):  # wrong: true for "no", too
        print("in")  # mypy says it here
