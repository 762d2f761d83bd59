"""However a call ends, the program can know whether the person was asked, and take the question back."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Callable, Optional

import pytest
from support import QUICK, START, STATUS, at_most, child, eventually, next_line, rest

from mfa_client import (
    Cancelled,
    ClosedError,
    Decision,
    HyperId,
    MfaError,
    TransactionState,
    WaitOptions,
    exceptions,
    outcome_of,
)
from mfa_client.sandbox import Sandbox

WITHDRAWN = 4


class Surprise(Exception):
    pass


def blocking(client: HyperId, token: str, **given: Any) -> Any:
    return client.confirm(token, "?", timeout=20, **given)


def awaited(client: HyperId, token: str, **given: Any) -> Any:
    return asyncio.run(client.confirm_async(token, "?", timeout=20, **given))


Confirm = Callable[..., Any]


@pytest.fixture(params=[blocking, awaited])
def confirm(request: pytest.FixtureRequest) -> Confirm:
    how: Confirm = request.param
    return how


def status_of(sandbox: Sandbox, transaction_id: int) -> int:
    found = sandbox.transaction(transaction_id)
    assert found is not None
    return found.status


def outcome(error: BaseException) -> MfaError:
    found = outcome_of(error)
    assert found is not None, "nobody knows what became of it"
    return found


def fail(*_: object) -> Any:
    raise Surprise("as planned")


@pytest.mark.parametrize("which", ["on_update", "refresh_access_token"])
def test_what_a_callback_raises_has_the_id(
    client: HyperId, mfa_sandbox: Sandbox, confirm: Confirm, which: str
) -> None:
    with pytest.raises(Surprise) as raised:
        confirm(client, "sandbox-token-expires-after-2+never#ann", wait=QUICK, **{which: fail})
    told = outcome(raised.value)
    assert told.transaction is not None and not told.withdrawn
    assert raised.value.__cause__ is None, "the program's own cause is its own"
    assert status_of(mfa_sandbox, told.transaction.id) == 0
    client.cancel("sandbox-never#ann", told.transaction.id)
    assert status_of(mfa_sandbox, told.transaction.id) == WITHDRAWN
    said = "".join(traceback.format_exception(type(raised.value), raised.value, raised.value.__traceback__))
    assert not hasattr(raised.value, "add_note") or f"asked, with transaction {told.transaction.id}" in said


def test_so_it_is_where_it_was_taken_back(client: HyperId, mfa_sandbox: Sandbox, confirm: Confirm) -> None:
    with pytest.raises(Surprise) as raised:
        confirm(client, "sandbox-never", wait=WaitOptions(withdraw_on_cancel=True), on_update=fail)
    told = outcome(raised.value)
    assert told.withdrawn and told.transaction is not None
    assert status_of(mfa_sandbox, told.transaction.id) == WITHDRAWN


def test_a_failure_beside_the_answer_has_the_state_and_no_approval(client: HyperId, confirm: Confirm) -> None:
    def fail_at_the_end(state: TransactionState) -> None:
        if state.decision is Decision.APPROVED:
            raise Surprise

    with pytest.raises(Surprise) as raised:
        confirm(client, "sandbox-approve-after-1", wait=QUICK, on_update=fail_at_the_end)
    state = outcome(raised.value).transaction
    assert state is not None and state.decision is Decision.APPROVED and not hasattr(state, "approved")


def test_an_error_of_a_callback_s_own_call_is_not_taken_for_this_one_s(client: HyperId, confirm: Confirm) -> None:
    def ask_another(state: TransactionState) -> None:
        client.availability("sandbox-token-invalid")

    with pytest.raises(exceptions.TokenInvalidError) as raised:
        confirm(client, "sandbox-never", wait=QUICK, on_update=ask_another)
    assert raised.value.transaction is None
    told = outcome(raised.value)
    assert type(told) is Cancelled and told.transaction is not None


def test_what_the_log_raises_has_the_id_of_a_start(mfa_sandbox: Sandbox) -> None:
    def log(level: int, text: str) -> None:
        if "start" in text:
            raise Surprise

    with mfa_sandbox.hyperid(log=log, log_level=logging.DEBUG) as client, pytest.raises(Surprise) as raised:
        client.start("sandbox-never", "?")
    told = outcome(raised.value)
    assert told.transaction is not None and status_of(mfa_sandbox, told.transaction.id) == 0


def cancelled(client: HyperId, call: Any, is_time: Callable[[], bool]) -> asyncio.CancelledError:
    async def story() -> asyncio.CancelledError:
        task = asyncio.ensure_future(call)
        while not is_time() and not task.done():
            await asyncio.sleep(0.002)
        task.cancel()
        try:
            await task
        except asyncio.CancelledError as error:
            return error
        raise AssertionError("it was not cancelled")

    return asyncio.run(story())


def test_a_cancelled_start(client: HyperId, mfa_sandbox: Sandbox) -> None:
    silent = client.start_async("sandbox-silent@start", "?")
    told = outcome(cancelled(client, silent, lambda: mfa_sandbox.request_count(START) == 1))
    assert told.outcome_unknown and told.transaction is None
    assert any("may have been asked" in note for note in notes_of(told))


def notes_of(told: MfaError) -> list[str]:
    from mfa_client import _error

    return _error._notes(told)


@pytest.mark.parametrize(
    "withdraw, says", [(False, "the person was asked, with transaction"), (True, "the question was taken back")]
)
def test_what_a_traceback_says_of_a_question(
    client: HyperId, mfa_sandbox: Sandbox, withdraw: bool, says: str
) -> None:
    """That it was taken back, too: whoever reads it need not look for it on the phone."""
    wait = WaitOptions(first_poll=0.01, withdraw_on_cancel=withdraw)
    waiting = client.confirm_async("sandbox-never", "?", wait=wait)
    error = cancelled(client, waiting, lambda: mfa_sandbox.request_count(STATUS) > 0)
    notes = notes_of(outcome(error))
    assert len(notes) == 1 and says in notes[0]
    assert sys.version_info < (3, 11) or error.__notes__ == notes


def test_a_wait_that_times_out_in_asyncio(client: HyperId) -> None:
    async def story() -> None:
        await asyncio.wait_for(client.confirm_async("sandbox-never", "?", wait=QUICK), 0.5)

    with pytest.raises(asyncio.TimeoutError) as late:
        asyncio.run(story())
    assert outcome(late.value).transaction is not None


def test_a_task_that_is_cancelled_again_while_it_ends(client: HyperId, mfa_sandbox: Sandbox) -> None:
    """Withdrawing hangs; the second cancelling leaves it at that, and still the id is known."""

    async def story() -> MfaError:
        wait = WaitOptions(first_poll=0.01, withdraw_on_cancel=True)
        task = asyncio.ensure_future(client.confirm_async("sandbox-never+silent@cancel", "?", wait=wait))
        while not mfa_sandbox.request_count(STATUS):
            await asyncio.sleep(0.002)
        task.cancel()
        await asyncio.sleep(0.05)
        task.cancel()
        with at_most(1.5), pytest.raises(asyncio.CancelledError) as error:
            await task
        return outcome(error.value)

    told = asyncio.run(story())
    assert told.transaction is not None and not told.withdrawn


def test_no_outcome_without_a_call() -> None:
    assert outcome_of(KeyboardInterrupt()) is None
    try:
        try:
            raise ClosedError("another matter")
        except ClosedError:
            raise ValueError
    except ValueError as error:
        assert outcome_of(error) is None, "an error that was handled before is none of this one's"
    cause = ValueError()
    cause.__cause__ = cause
    assert outcome_of(cause) is None


CTRL_C = """
def seen(state):
    if state.polls:
        print("waiting", flush=True)
with sandbox.Sandbox(strict=True) as server, server.hyperid() as client:
    try:
        client.confirm(sys.argv[1], "?", wait=WaitOptions(first_poll=0.01), on_update=seen, timeout=60)
    except KeyboardInterrupt as error:
        outcome = outcome_of(error)
        if outcome.transaction is None:
            print(outcome.outcome_unknown)
        else:
            client.cancel("sandbox-never", outcome.transaction.id)
            print(server.transaction(outcome.transaction.id).status)
"""


def test_ctrl_c_has_the_id() -> None:
    with child(CTRL_C, "sandbox-never") as process:
        assert next_line(process) == "waiting\n", rest(process)
        with at_most(10):
            process.send_signal(signal.SIGINT)
            assert (*rest(process), process.returncode) == ("4\n", "", 0)


def test_ctrl_c_while_the_person_is_being_asked() -> None:
    program = """
import threading
def tell():
    server.wait_for_requests(1, "/mfa-client/transaction/start/v2")
    print("starting", flush=True)
with sandbox.Sandbox(strict=True) as server, server.hyperid() as client:
    threading.Thread(target=tell, daemon=True).start()
    try:
        client.confirm("sandbox-silent@start", "?", timeout=60)
    except KeyboardInterrupt as error:
        print(outcome_of(error).outcome_unknown, getattr(error, "__notes__", ["may have been asked"]))
"""
    with child(program) as process:
        assert next_line(process) == "starting\n", rest(process)
        with at_most(10):
            process.send_signal(signal.SIGINT)
            output, errors = rest(process)
    assert output.startswith("True ") and "may have been asked" in output, errors


# What a traceback shows.


HOME = str(Path(exceptions.__file__).parent)


def frames_of_ours(error: BaseException) -> list[str]:
    frames = traceback.extract_tb(error.__traceback__)
    return [frame.name for frame in frames if frame.filename.startswith(HOME)]


def fails(client: HyperId) -> list[tuple[str, Callable[[], object]]]:
    return [
        ("availability", lambda: client.availability("sandbox-token-invalid")),
        ("availability_async", lambda: asyncio.run(client.availability_async("sandbox-token-invalid"))),
        ("confirm", lambda: client.confirm("sandbox-no-app", "?")),
        ("confirm_async", lambda: asyncio.run(client.confirm_async("sandbox-no-app", "?"))),
        ("wait", lambda: client.wait("sandbox-approve", 1)),
        ("wait_async", lambda: asyncio.run(client.wait_async("sandbox-approve", 1))),
    ]


def test_tracebacks_lead_to_the_program_s_code(client: HyperId) -> None:
    """Not through the binding's own ways, which tell nobody anything."""
    for name, call in fails(client):
        with pytest.raises(MfaError) as raised:
            call()
        ours = frames_of_ours(raised.value)
        assert ours[0] == name and len(ours) <= 3, ours
        assert raised.value.__context__ is None and raised.value.__cause__ is None


def test_a_callback_s_traceback_ends_in_the_callback(client: HyperId, confirm: Confirm) -> None:
    with pytest.raises(Surprise) as raised:
        confirm(client, "sandbox-never", wait=QUICK, on_update=fail)
    assert traceback.extract_tb(raised.value.__traceback__)[-1].name == "fail"
    ours = frames_of_ours(raised.value)
    assert len(ours) <= 5, ours


def test_so_it_does_on_another_thread(client: HyperId) -> None:
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(client.confirm, "sandbox-never", "?", wait=QUICK, on_update=fail, timeout=30)
        error = call.exception()
    assert isinstance(error, Surprise)
    ours = frames_of_ours(error)
    assert ours[0] == "confirm" and len(ours) <= 5, ours


# The program's end.


@pytest.mark.parametrize("how", ["confirm", "availability_async", "confirm_async"])
def test_a_call_in_an_exit_function(how: str) -> None:
    """From Python 3.12 on no thread can be started there. Exit functions run last in, first out: so one that was
    registered after the binding's own comes before it."""
    program = """
import asyncio, atexit, threading, _thread
def ask():
    def refuse(*_, **__):
        raise RuntimeError("can't create new thread at interpreter shutdown")
    threading._start_new_thread = refuse
    if hasattr(threading, "_start_joinable_thread"):
        threading._start_joinable_thread = refuse
    if sys.argv[1] == "confirm":
        print(client.confirm("sandbox-approve-after-1", "?", wait=wait, timeout=20).approved)
    elif sys.argv[1] == "confirm_async":
        print(asyncio.run(client.confirm_async("sandbox-approve-after-1", "?", wait=wait, timeout=20)).approved)
    else:
        print(asyncio.run(client.availability_async("sandbox-approve", timeout=20)).available)
wait = WaitOptions(min_interval=0.05)
server = sandbox.Sandbox(strict=True)
client = server.hyperid()
atexit.register(ask)
"""
    with child(program, how) as process:
        assert (*rest(process), process.returncode) == ("True\n", "", 0)


def test_a_pool_s_calls_end_with_a_token() -> None:
    """Python waits for a pool's threads before anybody else is asked: see the README."""
    program = """
from concurrent.futures import ThreadPoolExecutor
server = sandbox.Sandbox(strict=True)
client = server.hyperid()
stop = CancelToken()
pool = ThreadPoolExecutor(4)
calls = [pool.submit(client.confirm, f"sandbox-never#{n}", "?", timeout=60, cancel=stop) for n in range(4)]
assert server.wait_for_requests(8)
stop.trigger()
print("over")
"""
    with child(program) as process, at_most(20):
        assert (*rest(process), process.returncode) == ("over\n", "", 0)


def test_waits_taken_as_events_refresh_their_own_tokens(client: HyperId, mfa_sandbox: Sandbox) -> None:
    asked: list[str] = []

    def fresh(person: str) -> Callable[[], Optional[str]]:
        def give() -> str:
            asked.append(person)
            return f"sandbox-{'approve' if person == 'ann' else 'deny'}-after-1#{person}"

        return give

    ends: dict[object, bool] = {}
    users: dict[object, str] = {}
    with client.waiter() as waiter:
        for person in "ann", "bob":
            waiter.confirm(
                f"sandbox-token-expired#{person}", "?", data=person, wait=QUICK, refresh_access_token=fresh(person)
            )
        waiter.confirm("sandbox-token-expired#eve", "?", data="eve", wait=QUICK, refresh_access_token=fail)
        for event in waiter:
            assert event.kind.name in ("STARTED", "ENDED")
            if event.kind.name == "ENDED" and event.data == "eve":
                assert isinstance(event.error, exceptions.TokenExpiredError)
                assert isinstance(event.error.__cause__, Surprise)
            elif event.kind.name == "ENDED":
                answer = event.result()
                found = mfa_sandbox.transaction(answer.id)
                ends[event.data], users[event.data] = answer.approved, found.user if found else ""
    assert ends == {"ann": True, "bob": False} and users == {"ann": "ann", "bob": "bob"}
    assert sorted(asked) == ["ann", "bob"]
    eventually(lambda: waiter.closed)
