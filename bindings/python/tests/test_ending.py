"""How a call ends before its time: deadlines, cancel tokens, tasks, Ctrl-C."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Optional

import pytest
from support import AVAILABILITY, QUICK, STATUS, at_most, child, eventually, next_line, rest

from mfa_client import (
    END_WAIT,
    CallTimeoutError,
    Cancelled,
    CancelToken,
    EndWait,
    HyperId,
    TransactionState,
    WaitOptions,
)
from mfa_client.sandbox import Sandbox


def no_helper_threads() -> bool:
    return not any(thread.name == "libmfa" for thread in threading.enumerate())


def test_deadlines(client: HyperId) -> None:
    for call in (
        lambda: client.availability("sandbox-silent", timeout=0.2),
        lambda: client.wait("sandbox-never", client.start("sandbox-never", "Sign in?"), timeout=0.2),
        lambda: client.confirm("sandbox-silent", "Sign in?", timeout=0.2),
        lambda: asyncio.run(client.confirm_async("sandbox-never", "Sign in?", timeout=0.2)),
    ):
        began = time.monotonic()
        with pytest.raises(CallTimeoutError):
            call()
        assert 0.19 < time.monotonic() - began < 2


def test_cancel_from_another_thread(client: HyperId, mfa_sandbox: Sandbox) -> None:
    cancel = CancelToken()
    with ThreadPoolExecutor(3) as pool:
        calls: list[Future[Any]] = [
            pool.submit(client.availability, "sandbox-silent", timeout=30, cancel=cancel),
            pool.submit(client.confirm, "sandbox-never", "Sign in?", wait=QUICK, timeout=30, cancel=cancel),
        ]
        assert mfa_sandbox.wait_for_requests(1, STATUS) and mfa_sandbox.wait_for_requests(2, AVAILABILITY)
        with at_most(2):
            cancel.trigger()
            errors = [call.exception(timeout=5) for call in calls]
    assert all(type(error) is Cancelled for error in errors)
    waiting = errors[1]
    assert isinstance(waiting, Cancelled) and waiting.transaction is not None
    assert cancel.triggered
    with pytest.raises(Cancelled):
        client.availability("sandbox-approve", cancel=cancel)


def test_what_is_withdrawn_is_cancelled_at_the_provider(client: HyperId, mfa_sandbox: Sandbox) -> None:
    for withdraw in (False, True):
        wait = WaitOptions(
            min_interval=0.05, withdraw_on_cancel=withdraw
        )

        def on_update(so_far: TransactionState) -> Optional[EndWait]:
            return END_WAIT if so_far.polls == 1 else None

        with pytest.raises(Cancelled) as cancelled:
            client.confirm("sandbox-never", "Sign in?", wait=wait, on_update=on_update, timeout=30)
        assert cancelled.value.withdrawn is withdraw
        assert cancelled.value.transaction is not None
        state = client.status("sandbox-never", cancelled.value.transaction.id)
        assert state.raw_status == (4 if withdraw else 0)


def test_cancel_on_the_main_thread_s_wait(client: HyperId, mfa_sandbox: Sandbox) -> None:
    cancel = CancelToken()

    def trigger_once_it_waits() -> None:
        mfa_sandbox.wait_for_requests(1, STATUS)
        cancel.trigger()

    helper = threading.Thread(target=trigger_once_it_waits)
    helper.start()
    with at_most(10), pytest.raises(Cancelled) as cancelled:
        client.confirm("sandbox-never", "Sign in?", timeout=30, cancel=cancel)
    helper.join()
    assert cancelled.value.transaction is not None
    assert not cancel._followers, "the token keeps what it no longer needs"


def test_cancelling_a_task_ends_the_native_call(client: HyperId, mfa_sandbox: Sandbox) -> None:
    bystander = CancelToken()

    async def story() -> None:
        seen: list[TransactionState] = []
        call = client.confirm_async(
            "sandbox-never", "Sign in?", wait=QUICK, on_update=seen.append, timeout=30, cancel=bystander
        )
        task = asyncio.ensure_future(call)
        while not seen:
            await asyncio.sleep(0.002)
        task.cancel()
        with at_most(2), pytest.raises(asyncio.CancelledError):
            await task
        # One may have been sent already, and be counted later.
        polls = mfa_sandbox.request_count(STATUS) + 1
        eventually(no_helper_threads)
        await asyncio.sleep(0.3)
        assert mfa_sandbox.request_count(STATUS) <= polls, "it still polls"

    asyncio.run(story())
    assert not bystander.triggered, "one task's end is not the token's"


def test_a_token_ends_awaited_calls(client: HyperId, mfa_sandbox: Sandbox) -> None:
    async def story() -> None:
        cancel = CancelToken()
        tasks = [
            asyncio.ensure_future(client.availability_async("sandbox-silent", timeout=30, cancel=cancel))
            for _ in range(5)
        ]
        while mfa_sandbox.request_count(AVAILABILITY) < 5:
            await asyncio.sleep(0.002)
        cancel.trigger()
        ends = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 5)
        assert [type(end) for end in ends] == [Cancelled] * 5
        with pytest.raises(Cancelled):
            await client.availability_async("sandbox-approve", cancel=cancel)

    asyncio.run(story())


def test_many_tasks_at_once_and_a_free_loop(client: HyperId) -> None:
    async def story() -> None:
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0.005)

        ticking = asyncio.ensure_future(tick())
        calls = [client.availability_async("sandbox-slow-200#" + str(i)) for i in range(20)]
        answers = await asyncio.gather(*calls)
        ticking.cancel()
        assert all(answer.available for answer in answers) and ticks > 5

    asyncio.run(story())


def test_wait_for(client: HyperId) -> None:
    async def story() -> None:
        with at_most(2), pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(client.availability_async("sandbox-silent", timeout=30), 0.1)

    asyncio.run(story())


INTERRUPTED = """
import signal
def stop(number, frame):
    raise SystemExit(3)
signal.signal(signal.SIGTERM, stop)
def seen(state):
    if state.polls:
        print("waiting", flush=True)
with sandbox.Sandbox(strict=True) as server, server.hyperid() as client:
    try:
        client.confirm("sandbox-never", "Sign in?", on_update=seen, timeout=60)
    except KeyboardInterrupt:
        print("interrupted", client.availability("sandbox-approve").available)
    except SystemExit:
        print("stopped")
"""


def interrupt(program: str, number: int) -> str:
    with child(program) as process:
        assert next_line(process) == "waiting\n", rest(process)
        with at_most(10):
            process.send_signal(number)
            output, errors = rest(process)
        assert (process.returncode, errors) == (0, "")
        return output


def test_ctrl_c_interrupts_a_wait() -> None:
    assert interrupt(INTERRUPTED, signal.SIGINT) == "interrupted True\n"


def test_so_does_whatever_a_signal_handler_raises() -> None:
    assert interrupt(INTERRUPTED, signal.SIGTERM) == "stopped\n"


def test_ctrl_c_interrupts_asyncio() -> None:
    program = """
import asyncio
def seen(state):
    if state.polls:
        print("waiting", flush=True)
async def main():
    with sandbox.Sandbox(strict=True) as server, server.hyperid() as client:
        await client.confirm_async("sandbox-never", "Sign in?", on_update=seen, timeout=60)
try:
    asyncio.run(main())
except KeyboardInterrupt:
    print("interrupted")
"""
    assert interrupt(program, signal.SIGINT) == "interrupted\n"


def test_a_handler_that_triggers_a_token() -> None:
    program = """
import signal
cancel = CancelToken()
signal.signal(signal.SIGINT, lambda *_: cancel.trigger())
def seen(state):
    if state.polls:
        print("waiting", flush=True)
with sandbox.Sandbox(strict=True) as server, server.hyperid() as client:
    try:
        client.confirm("sandbox-never", "Sign in?", on_update=seen, timeout=60, cancel=cancel)
    except Cancelled as error:
        print(error.transaction.id > 0)
"""
    assert interrupt(program, signal.SIGINT) == "True\n"


def test_a_second_ctrl_c_leaves_a_callback_that_hangs() -> None:
    program = """
import threading, time
from mfa_client import _call
def tell_when_triggered():
    while not any(call.triggered for call in tuple(_call.under_way._calls)):
        time.sleep(0.001)
    print("triggered", flush=True)
def seen(state):
    threading.Thread(target=tell_when_triggered, daemon=True).start()
    print("waiting", flush=True)
    time.sleep(60)
with sandbox.Sandbox(strict=True) as server, server.hyperid() as client:
    try:
        client.confirm("sandbox-never", "Sign in?", on_update=seen, timeout=60)
    except KeyboardInterrupt:
        print("left", flush=True)
"""
    with child(program) as process:
        assert next_line(process) == "waiting\n", rest(process)
        with at_most(20):
            process.send_signal(signal.SIGINT)
            assert next_line(process) == "triggered\n"
            process.send_signal(signal.SIGINT)
            assert (*rest(process), process.returncode) == ("left\n", "", 0)


@pytest.mark.parametrize("where", ["thread", "task", "loop"])
def test_the_end_of_a_program_with_calls_under_way(where: str) -> None:
    """An interpreter that is going may not be called back: that would abort the process."""
    program = """
import asyncio, logging, threading
server = sandbox.Sandbox(strict=True)
client = server.hyperid(log=lambda level, message: None, log_level=logging.DEBUG)
wait = WaitOptions(min_interval=0.001, max_interval=0.001)
def seen(state):
    pass
def confirm():
    client.confirm("sandbox-never", "Sign in?", wait=wait, on_update=seen, timeout=60)
def available():
    while True:
        client.availability("sandbox-slow-5", timeout=60)
def forever():
    while True:
        try:
            confirm()
        except Cancelled:
            pass
def start(work):
    threading.Thread(target=work, daemon=True).start()
threading.excepthook = lambda *_: None
if sys.argv[1] == "thread":
    for work in confirm, available, lambda: client.availability("sandbox-silent", timeout=60):
        start(work)
elif sys.argv[1] == "loop":
    start(forever)
else:
    loop = asyncio.new_event_loop()
    start(loop.run_forever)
    confirming = client.confirm_async("sandbox-never", "Sign in?", wait=wait, on_update=seen, timeout=60)
    future = asyncio.run_coroutine_threadsafe(confirming, loop)
assert server.wait_for_requests(20)
print("over")
"""
    with child(program, where) as process:
        assert (*rest(process), process.returncode) == ("over\n", "", 0)


def test_the_end_of_a_program_while_requests_are_withdrawn() -> None:
    """The provider is silent, so that withdrawing takes all of its 2 seconds, and then calls back."""
    program = """
import logging, threading
server = sandbox.Sandbox(strict=True)
client = server.hyperid(log=lambda level, message: None, log_level=logging.DEBUG)
wait = WaitOptions(min_interval=0.001, withdraw_on_cancel=True)
def seen(state):
    pass
def confirm():
    client.confirm("sandbox-never+silent@status+silent@cancel", "Sign in?", wait=wait, on_update=seen, timeout=60)
threading.excepthook = lambda *_: None
for _ in range(8):
    threading.Thread(target=confirm, daemon=True).start()
assert server.wait_for_requests(8, sys.argv[1])
print("over")
"""
    with child(program, STATUS) as process:
        assert (*rest(process), process.returncode) == ("over\n", "", 0)


# A pool of one thread that waits for a person, while a second call waits for the thread.
POOL = """
from concurrent.futures import ThreadPoolExecutor
server = sandbox.Sandbox(strict=True, first_id=1000)
client = server.hyperid()
def ask(token, **options):
    wait = WaitOptions(first_poll=0.01, min_interval=0.05, withdraw_on_cancel=sys.argv[1] == "withdraw")
    try:
        answer = client.confirm(token, "Sign in?", wait=wait, timeout=100, **options)
        print("approved", answer.approved)
    except Cancelled as error:
        state = error.transaction
        print("withdrawn", error.withdrawn, None if state is None else state.id, server.push_count())
pool = ThreadPoolExecutor(1)
"""


@pytest.mark.parametrize("withdraw", [False, True])
def test_a_pool_s_calls_end_with_the_program_where_their_token_says_so(withdraw: bool) -> None:
    """Python joins a pool's threads before it comes to `atexit`: in time they must be told another way."""
    program = """
at_exit = CancelToken(at_exit=True)
for _ in range(2):
    pool.submit(ask, "sandbox-never", cancel=at_exit)
assert server.wait_for_requests(1, sys.argv[2])
print("over", at_exit.triggered)
"""
    ends = f"withdrawn {withdraw} 1000 1\nwithdrawn False None 1\n"
    with child(POOL + program, "withdraw" if withdraw else "leave", STATUS) as process, at_most(60):
        assert (*rest(process), process.returncode) == (f"over False\n{ends}", "", 0)


def test_a_pool_s_calls_go_on_to_their_answers_where_nobody_says_otherwise() -> None:
    """Python's own rule: what was handed to a pool is done before the program ends."""
    program = """
other = CancelToken()
for cancel in None, other:
    pool.submit(ask, "sandbox-approve-after-500", cancel=cancel)
assert server.wait_for_requests(1, sys.argv[2])
print("over")
"""
    with child(POOL + program, "leave", STATUS) as process:
        assert (*rest(process), process.returncode) == ("over\napproved True\napproved True\n", "", 0)


def test_a_token_made_at_the_end_ends_its_calls_at_once() -> None:
    program = """
import atexit
early = [CancelToken(at_exit=True)] if sys.argv[2] == "second" else []
atexit.register(lambda: ask("sandbox-approve", cancel=CancelToken(at_exit=True)))
"""
    for which in "first", "second":
        with child(POOL + program, "leave", which) as process:
            assert (*rest(process), process.returncode) == ("withdrawn False None 0\n", "", 0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_child_s_end_is_not_its_parent_s() -> None:
    """multiprocessing ends a child as a program is ended."""
    program = """
import multiprocessing
at_exit = CancelToken(at_exit=True)
future = pool.submit(ask, "sandbox-phone", cancel=at_exit)
id = server.wait_for_transaction()
process = multiprocessing.get_context("fork").Process(target=bool)
process.start()
process.join()
print(process.exitcode, at_exit.triggered)
server.decide(id, sandbox.Person.APPROVES)
future.result()
"""
    with child(POOL + program, "leave") as process:
        output, errors = rest(process)
        assert (output, process.returncode) == ("0 False\napproved True\n", 0), errors


def test_ctrl_c_withdraws_where_that_is_asked_for() -> None:
    program = """
ids = []
def seen(state):
    ids.append(state.id)
    if state.polls == 1:
        print("waiting", flush=True)
with sandbox.Sandbox(strict=True) as server, server.hyperid() as client:
    wait = WaitOptions(first_poll=0.01, withdraw_on_cancel=True)
    try:
        client.confirm("sandbox-never", "Sign in?", wait=wait, on_update=seen, timeout=60)
    except KeyboardInterrupt:
        print(server.transaction(ids[0]).status)
"""
    assert interrupt(program, signal.SIGINT) == "4\n"


def test_cancelling_a_task_withdraws_where_that_is_asked_for(client: HyperId, mfa_sandbox: Sandbox) -> None:
    async def story() -> int:
        seen: list[TransactionState] = []
        wait = WaitOptions(min_interval=0.05, withdraw_on_cancel=True)
        call = client.confirm_async("sandbox-never", "Sign in?", wait=wait, on_update=seen.append, timeout=30)
        task = asyncio.ensure_future(call)
        while not seen:
            await asyncio.sleep(0.002)
        task.cancel()
        with at_most(10), pytest.raises(asyncio.CancelledError):
            await task
        return seen[0].id

    state = mfa_sandbox.transaction(asyncio.run(story()))
    assert state is not None and state.status == 4


def test_helper_threads_end(client: HyperId) -> None:
    client.confirm("sandbox-approve-after-1", "Sign in?", wait=QUICK)
    asyncio.run(client.availability_async("sandbox-approve"))
    eventually(no_helper_threads)
