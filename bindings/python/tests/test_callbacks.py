"""Functions that libmfa calls: updates, fresh tokens, the log."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import logging
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable, Optional

import pytest
from support import QUICK, STATUS

from mfa_client import END_WAIT, Cancelled, Decision, HyperId, TransactionState, WaitOptions
from mfa_client.exceptions import InvalidArgumentError, TokenExpiredError
from mfa_client.sandbox import Person, Sandbox


class Surprise(Exception):
    pass


def confirm_on_main(client: HyperId, token: str, **given: Any) -> Any:
    return client.confirm(token, "Sign in?", wait=QUICK, timeout=20, **given)


def confirm_on_a_thread(client: HyperId, token: str, **given: Any) -> Any:
    box: list[Any] = []

    def work() -> None:
        try:
            box.append(client.confirm(token, "Sign in?", wait=QUICK, timeout=20, **given))
        except BaseException as error:
            box.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    if isinstance(box[0], BaseException):
        raise box[0]
    return box[0]


def confirm_awaited(client: HyperId, token: str, **given: Any) -> Any:
    return asyncio.run(client.confirm_async(token, "Sign in?", wait=QUICK, timeout=20, **given))


Confirm = Callable[..., Any]


@pytest.fixture(params=[confirm_on_main, confirm_on_a_thread, confirm_awaited])
def confirm(request: pytest.FixtureRequest) -> Confirm:
    how: Confirm = request.param
    return how


def test_updates(client: HyperId, mfa_sandbox: Sandbox, confirm: Confirm) -> None:
    seen: list[TransactionState] = []

    def on_update(state: TransactionState) -> None:
        seen.append(state)
        if state.polls == 2:
            mfa_sandbox.decide(state.id, Person.APPROVES)

    answer = confirm(client, "sandbox-phone", on_update=on_update)
    assert answer.approved
    assert [state.polls for state in seen] == list(range(len(seen)))
    assert {state.id for state in seen} == {answer.id}
    assert (seen[0].decision, seen[0].raw_status) == (Decision.PENDING, -1)
    assert seen[-1].decision is Decision.APPROVED and not hasattr(seen[-1], "approved")


def test_an_update_ends_the_wait(client: HyperId, confirm: Confirm) -> None:
    with pytest.raises(Cancelled) as cancelled:
        confirm(client, "sandbox-never", on_update=lambda state: END_WAIT)
    assert cancelled.value.transaction is not None


@pytest.mark.parametrize("value", [True, 1, "yes", "end the wait"])
def test_nothing_else_ends_it(client: HyperId, confirm: Confirm, value: object) -> None:
    """A callback may well return what it has from a database."""
    assert confirm(client, "sandbox-approve", on_update=lambda state: value).approved


@pytest.mark.parametrize("kind", [Surprise, KeyboardInterrupt, StopIteration])
def test_what_an_update_raises_reaches_the_caller(
    client: HyperId, mfa_sandbox: Sandbox, confirm: Confirm, kind: type[BaseException]
) -> None:
    def fail(state: TransactionState) -> None:
        raise kind("as planned")

    # A coroutine cannot raise StopIteration: Python makes a RuntimeError of it.
    expected: Any = (kind, RuntimeError) if kind is StopIteration else kind
    with pytest.raises(expected, match="as planned|StopIteration"):
        confirm(client, "sandbox-never", on_update=fail)
    assert mfa_sandbox.request_count(STATUS) == 0


def test_a_failure_beside_the_final_answer(client: HyperId, confirm: Confirm) -> None:
    def fail(state: TransactionState) -> None:
        if state.decision is Decision.APPROVED:
            raise Surprise

    with pytest.raises(Surprise):
        confirm(client, "sandbox-approve", on_update=fail)


def approve_once(sandbox: Sandbox, asked: list[int], often: int) -> Callable[[TransactionState], None]:
    """The person approves once a fresh token was asked for so often."""

    def on_update(state: TransactionState) -> None:
        gc.collect()
        if len(asked) == often and state.polls and state.decision is Decision.PENDING:
            asked.append(0)
            sandbox.decide(state.id, Person.APPROVES)

    return on_update


def test_a_fresh_token(client: HyperId, mfa_sandbox: Sandbox, confirm: Confirm) -> None:
    asked: list[int] = []

    def fresh() -> str:
        asked.append(1)
        token = "".join(["sandbox-phone", "#", "ann"])
        gc.collect()
        return token

    answer = confirm(
        client,
        "sandbox-token-expires-after-2+phone#ann",
        on_update=approve_once(mfa_sandbox, asked, 1),
        refresh_access_token=fresh,
    )
    assert answer.approved


@pytest.mark.parametrize("refused", ["token-expired", "token-expires-after-1+{}-after-400"])
def test_shared_options_bring_nobody_anothers_token(
    client: HyperId, mfa_sandbox: Sandbox, confirm: Confirm, refused: str
) -> None:
    """What refreshes a token belongs to the call, as the token does: whether it is refused before the person is
    asked or after. Ann approves, Bob denies; all calls share one `WaitOptions`."""
    asked: list[str] = []

    def ask(person: str, does: str) -> tuple[bool, str]:
        def fresh() -> str:
            asked.append(person)
            return f"sandbox-{does}-after-400#{person}"

        answer = confirm(client, f"sandbox-{refused.format(does)}#{person}", refresh_access_token=fresh)
        found = mfa_sandbox.transaction(answer.id)
        assert found is not None
        return answer.approved, found.user

    with ThreadPoolExecutor(2) as pool:
        ann, bob = pool.submit(ask, "ann", "approve"), pool.submit(ask, "bob", "deny")
        assert (ann.result(), bob.result()) == ((True, "ann"), (False, "bob"))
    assert sorted(asked) == ["ann", "bob"]


def test_a_long_fresh_token_lives_long_enough(client: HyperId, mfa_sandbox: Sandbox) -> None:
    """libmfa reads it after the Python function has returned it: freed memory would show."""
    asked: list[int] = []

    def fresh() -> str:
        asked.append(1)
        token = f"{len(asked):05}" + "x" * 16_000
        mfa_sandbox.add_token(token, "token-expires-after-1#ann")
        return token

    answer = client.confirm(
        "sandbox-token-expires-after-1+phone#ann",
        "?",
        wait=WaitOptions(min_interval=0.01, max_interval=0.01),
        on_update=approve_once(mfa_sandbox, asked, 5),
        refresh_access_token=fresh,
        timeout=30,
    )
    assert answer.approved


def test_no_fresh_token(client: HyperId, confirm: Confirm) -> None:
    with pytest.raises(TokenExpiredError) as expired:
        confirm(client, "sandbox-token-expires-after-1+never", refresh_access_token=lambda: None)
    assert expired.value.transaction is not None


@pytest.mark.parametrize(("bad", "kind"), [("a\0b", InvalidArgumentError), (7, TypeError), (None, Surprise)])
def test_what_a_token_provider_raises(
    client: HyperId, confirm: Confirm, bad: Any, kind: type[Exception]
) -> None:
    def fail() -> Optional[str]:
        if bad is None:
            raise Surprise
        return bad  # type: ignore[no-any-return]

    with pytest.raises(kind):
        confirm(client, "sandbox-token-expires-after-1+never", refresh_access_token=fail)


def test_a_callback_that_calls_the_client(client: HyperId, confirm: Confirm) -> None:
    seen: list[bool] = []

    def on_update(state: TransactionState) -> None:
        seen.append(client.availability("sandbox-no-app").available)

    assert confirm(client, "sandbox-approve", on_update=on_update).approved
    assert seen and not any(seen)


def test_a_failure_inside_a_callback_s_call_stays_there(client: HyperId) -> None:
    seen: list[BaseException] = []

    def on_update(state: TransactionState) -> None:
        def fail(state: TransactionState) -> None:
            raise Surprise

        with pytest.raises(Surprise) as inner:
            client.confirm("sandbox-never", "?", on_update=fail)
        seen.append(inner.value)

    assert client.confirm("sandbox-approve", "Sign in?", wait=QUICK, on_update=on_update).approved
    assert seen


@pytest.mark.parametrize("confirm", [confirm_on_main, confirm_awaited])
def test_context_variables_are_the_caller_s(client: HyperId, confirm: Confirm) -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")
    variable.set("set")
    seen: set[str] = set()
    confirm(client, "sandbox-approve", on_update=lambda state: seen.add(variable.get()))
    assert seen == {"set"}


def test_log(mfa_sandbox: Sandbox) -> None:
    lines: list[tuple[int, str]] = []

    def log(level: int, message: str) -> None:
        lines.append((level, message))

    with mfa_sandbox.hyperid(log=log, log_level=logging.DEBUG) as client:
        client.availability("sandbox-approve")
        asyncio.run(client.availability_async("sandbox-approve"))
    levels = {level for level, _ in lines}
    assert levels <= {logging.ERROR, logging.WARNING, logging.INFO, logging.DEBUG}
    assert logging.DEBUG in levels and logging.WARNING in levels
    assert not any("sandbox-" in message for _, message in lines)
    lines.clear()
    with mfa_sandbox.hyperid(log=log, log_level=logging.CRITICAL) as client:
        client.availability("sandbox-approve")
    assert not lines


def test_a_logger_fits(mfa_sandbox: Sandbox, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "mfa"):
        log = logging.getLogger("mfa").log
        with mfa_sandbox.hyperid(log=log, log_level=logging.DEBUG) as client:
            client.availability("sandbox-approve")
    assert caplog.records


def test_what_the_log_raises_reaches_the_caller(mfa_sandbox: Sandbox) -> None:
    def fail(level: int, message: str) -> None:
        if level == logging.DEBUG:
            raise Surprise

    with mfa_sandbox.hyperid(log=fail, log_level=logging.DEBUG) as client:
        with pytest.raises(Surprise):
            client.availability("sandbox-approve")
        with pytest.raises(Surprise):
            asyncio.run(client.availability_async("sandbox-approve"))

    def fail_at_once(level: int, message: str) -> None:
        raise Surprise

    with pytest.raises(Surprise):
        mfa_sandbox.hyperid(log=fail_at_once, log_level=logging.DEBUG)


def test_callbacks_are_let_go(client: HyperId) -> None:
    class Sink:
        def __call__(self, state: TransactionState) -> None:
            pass

    sink = Sink()
    gone = weakref.ref(sink)
    client.confirm("sandbox-approve-after-1", "Sign in?", wait=QUICK, on_update=sink)
    del sink
    gc.collect()
    assert gone() is None
