"""Many waits on one thread: awaited, and taken as events."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import gc
import itertools
import logging
import os
import select
import selectors
import signal
import sys
import threading
import time
import types
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Callable, Optional

import pytest
from support import AVAILABILITY, QUICK, START, STATUS, at_most, child, eventually, next_line, outcome, rest

from mfa_client import (
    END_WAIT,
    CallerError,
    CallTimeoutError,
    Cancelled,
    CancelToken,
    ClosedError,
    Decision,
    EndWait,
    Event,
    EventKind,
    HyperId,
    MfaError,
    TransactionState,
    WaitOptions,
    _abi,
    _awaited,
    _library,
    _pool,
    _served,
)
from mfa_client.exceptions import BusyError, InternalError, InvalidArgumentError, TokenExpiredError
from mfa_client.sandbox import Person, Sandbox

WITHDRAWN = 4
needs_proc = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc")


class NoReaders(asyncio.SelectorEventLoop):
    """As Windows' own loop is."""

    def add_reader(self, *_: Any) -> Any:  # type: ignore[override]
        raise NotImplementedError


def with_uvloop() -> asyncio.AbstractEventLoop:
    loop: asyncio.AbstractEventLoop = pytest.importorskip("uvloop").new_event_loop()
    return loop


MakeLoop = Callable[[], asyncio.AbstractEventLoop]


@pytest.fixture(params=[asyncio.SelectorEventLoop, with_uvloop, NoReaders])
def loop(request: pytest.FixtureRequest) -> Iterator[asyncio.AbstractEventLoop]:
    loop = request.param()
    try:
        yield loop
    finally:
        loop.close()


needs_poll = pytest.mark.skipif(not hasattr(select, "poll"), reason="needs poll")


def is_readable(fd: int, within: float = 0.0) -> bool:
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(within * 1000))


def threads() -> int:
    return len(os.listdir("/proc/self/task"))


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def no_helpers() -> bool:
    return not any(thread.name == "libmfa" for thread in threading.enumerate())


def no_waiter(client: HyperId) -> bool:
    return all(each.waits.closed for each in (client._loops or {}).values())


async def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end, "it did not come to that in time"
        await asyncio.sleep(0.002)


def status_of(sandbox: Sandbox, transaction_id: int) -> Optional[int]:
    found = sandbox.transaction(transaction_id)
    return None if found is None else found.status


SERVER = """
with sandbox.Sandbox(strict=True) as server:
    print(server.url, flush=True)
    sys.stdin.read()
"""


# Awaited.


@needs_proc
def test_two_thousand_at_once() -> None:
    """Without a thread, and each gets the answer of its own person."""
    eventually(no_helpers)
    with child(SERVER, stdin=True) as process:
        client = HyperId(next_line(process).strip(), allow_loopback_http=True)
        before, most = threads(), 0

        async def ask(number: int) -> tuple[bool, Decision]:
            token = f"sandbox-{'approve' if number % 3 else 'deny'}-after-500#p{number}"
            answer = await client.confirm_async(token, f"{number}?", wait=QUICK, timeout=60)
            return answer.approved, answer.decision

        async def story() -> list[tuple[bool, Decision]]:
            nonlocal most
            asked = asyncio.gather(*(ask(number) for number in range(2_000)))
            while not asked.done():
                most = max(most, threads())
                await asyncio.sleep(0.01)
            return await asked

        answers = asyncio.run(story())
        client.close()
    yes, no = (True, Decision.APPROVED), (False, Decision.DENIED)
    assert answers == [yes if number % 3 else no for number in range(2_000)]
    assert most - before <= 2


def test_every_kind_of_loop(loop: asyncio.AbstractEventLoop, client: HyperId, mfa_sandbox: Sandbox) -> None:
    async def story() -> None:
        wait = WaitOptions(min_interval=0.02)
        calls = [
            client.confirm_async(f"sandbox-{what}-after-1#{what}{turn}", "?", wait=wait, timeout=20)
            for what in ("approve", "deny", "expire")
            for turn in range(5)
        ]
        answers = await asyncio.gather(*calls)
        assert [answer.approved for answer in answers] == [True] * 5 + [False] * 10
        started = await client.start_async("sandbox-phone", "Sign in?")
        waiting = asyncio.ensure_future(client.wait_async("sandbox-phone", started, wait=wait, timeout=20))
        await until(lambda: mfa_sandbox.request_count(STATUS) > 15)
        mfa_sandbox.decide(started, Person.APPROVES)
        assert (await waiting).approved
        with pytest.raises(CallTimeoutError) as late:
            await client.wait_async("sandbox-never", await client.start_async("sandbox-never", "?"), timeout=0.2)
        assert late.value.transaction is not None
        task = asyncio.ensure_future(client.confirm_async("sandbox-never", "?", wait=wait, timeout=20))
        polls = mfa_sandbox.request_count(STATUS)
        await until(lambda: mfa_sandbox.request_count(STATUS) > polls)
        task.cancel()
        with at_most(5), pytest.raises(asyncio.CancelledError):
            await task

    loop.run_until_complete(story())
    eventually(no_helpers)
    assert no_waiter(client), "a waiter is kept that nobody needs"


@needs_proc
def test_nothing_is_left_behind(client: HyperId) -> None:
    def turn() -> None:
        assert asyncio.run(client.confirm_async("sandbox-approve", "?", wait=QUICK)).approved

    turn()
    gc.collect()
    before = descriptors()
    turn()
    gc.collect()
    assert descriptors() <= before


def test_two_loops_in_two_threads(client: HyperId) -> None:
    async def story(what: str) -> list[bool]:
        calls = [
            client.confirm_async(f"sandbox-{what}-after-1#{what}{n}", "?", wait=QUICK, timeout=20) for n in range(50)
        ]
        return [answer.approved for answer in await asyncio.gather(*calls)]

    with ThreadPoolExecutor(2) as pool:
        yes = pool.submit(lambda: asyncio.run(story("approve")))
        no = pool.submit(lambda: asyncio.run(story("deny")))
        assert (yes.result(), no.result()) == ([True] * 50, [False] * 50)


def test_what_a_cancelled_task_tells(client: HyperId, mfa_sandbox: Sandbox) -> None:
    async def cancelled(token: str, path: str, withdraw: bool = False) -> MfaError:
        wait = WaitOptions(first_poll=0.02, withdraw_on_cancel=withdraw)
        before = mfa_sandbox.request_count(path)
        task = asyncio.ensure_future(client.confirm_async(token, "Sign in?", wait=wait, timeout=30))
        await until(lambda: mfa_sandbox.request_count(path) > before)
        task.cancel()
        try:
            await task
        except asyncio.CancelledError as error:
            # Before Python 3.11 a task makes an exception of its own of it.
            cause = error.__cause__ or (error.__context__ and error.__context__.__cause__)
            assert isinstance(cause, Cancelled)
            return cause
        raise AssertionError("it was not cancelled")

    async def story() -> None:
        waiting = await cancelled("sandbox-never", STATUS)
        assert waiting.transaction is not None and not waiting.outcome_unknown and not waiting.withdrawn
        assert status_of(mfa_sandbox, waiting.transaction.id) == 0
        starting = await cancelled("sandbox-silent@start", START)
        assert starting.outcome_unknown
        before_it = await cancelled("sandbox-silent@availability", AVAILABILITY)
        assert before_it.transaction is None and not before_it.outcome_unknown
        taken_back = await cancelled("sandbox-never", STATUS, withdraw=True)
        assert taken_back.withdrawn and taken_back.transaction is not None
        assert status_of(mfa_sandbox, taken_back.transaction.id) == WITHDRAWN

    asyncio.run(story())


def test_a_token_ends_awaited_waits(client: HyperId, mfa_sandbox: Sandbox, loop: asyncio.AbstractEventLoop) -> None:
    cancel = CancelToken()

    async def story() -> None:
        calls = [
            client.confirm_async(f"sandbox-never#{n}", "?", wait=QUICK, timeout=30, cancel=cancel) for n in range(20)
        ]
        ends = asyncio.gather(*calls, return_exceptions=True)
        await until(lambda: mfa_sandbox.request_count(STATUS) >= 20)
        await asyncio.get_running_loop().run_in_executor(None, cancel.trigger)
        for end in await asyncio.wait_for(ends, 5):
            assert type(end) is Cancelled and end.transaction is not None
        pushes = mfa_sandbox.push_count()
        with pytest.raises(Cancelled):
            await client.confirm_async("sandbox-never", "?", cancel=cancel)
        assert mfa_sandbox.push_count() == pushes

    loop.run_until_complete(story())
    assert not cancel._followers, "the token keeps what it no longer needs"


class TriggeredLate(CancelToken):
    """To a thread that drives the waits it seems that this one has been taken off the processor."""

    def _lead(self, follower: Any) -> None:
        time.sleep(1)
        super()._lead(follower)


def test_after_the_trigger_nobody_is_asked(
    client: HyperId, mfa_sandbox: Sandbox, loop: asyncio.AbstractEventLoop
) -> None:
    cancel = TriggeredLate()
    cancel.trigger()
    with pytest.raises(Cancelled) as ended:
        loop.run_until_complete(client.confirm_async("sandbox-never", "?", cancel=cancel))
    assert ended.value.transaction is None and not ended.value.outcome_unknown
    assert mfa_sandbox.push_count() == 0


@pytest.mark.parametrize("withdraw", [False, True])
def test_on_update_ends_it(client: HyperId, mfa_sandbox: Sandbox, withdraw: bool) -> None:
    async def on_update(so_far: TransactionState) -> Optional[EndWait]:
        await asyncio.sleep(0.001)
        return END_WAIT if so_far.polls == 1 else None

    wait = WaitOptions(first_poll=0.01, withdraw_on_cancel=withdraw)
    with pytest.raises(Cancelled) as ended:
        asyncio.run(client.confirm_async("sandbox-never", "?", wait=wait, on_update=on_update, timeout=20))
    assert ended.value.withdrawn is withdraw and ended.value.transaction is not None
    assert status_of(mfa_sandbox, ended.value.transaction.id) == (WITHDRAWN if withdraw else 0)


def test_coroutine_functions(client: HyperId, mfa_sandbox: Sandbox, loop: asyncio.AbstractEventLoop) -> None:
    """They run in the caller's task, see its context variables, and may await."""
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")
    seen: list[tuple[int, Decision]] = []
    asked: list[str] = []

    async def on_update(so_far: TransactionState) -> None:
        assert asyncio.current_task() is task and variable.get() == "set"
        await asyncio.sleep(0.001)
        seen.append((so_far.polls, so_far.decision))
        if asked and so_far.decision is Decision.PENDING and mfa_sandbox.transaction(so_far.id).status == 0:  # type: ignore[union-attr]
            mfa_sandbox.decide(so_far.id, Person.APPROVES)

    async def fresh() -> str:
        assert asyncio.current_task() is task and variable.get() == "set"
        await asyncio.sleep(0.001)
        asked.append("")
        return "sandbox-phone#ann"

    async def ask() -> bool:
        variable.set("set")
        token = "sandbox-token-expires-after-2+phone#ann"
        callbacks: Any = {"on_update": on_update, "refresh_access_token": fresh}
        return (await client.confirm_async(token, "?", wait=QUICK, timeout=20, **callbacks)).approved

    task: Any = None

    async def story() -> Any:
        nonlocal task
        task = asyncio.ensure_future(ask())
        return await task

    assert loop.run_until_complete(story())
    assert len(asked) == 1
    assert seen[0] == (0, Decision.PENDING) and seen[-1][1] is Decision.APPROVED
    assert [polls for polls, _ in seen] == sorted({polls for polls, _ in seen}), "told twice"


class Surprise(Exception):
    pass


@pytest.mark.parametrize("which", ["on_update", "refresh_access_token"])
def test_what_a_coroutine_function_raises(client: HyperId, mfa_sandbox: Sandbox, which: str) -> None:
    async def fail(*_: object) -> Any:
        await asyncio.sleep(0.001)
        raise Surprise

    callback: Any = {which: fail}
    with at_most(10), pytest.raises(Surprise):
        asyncio.run(client.confirm_async("sandbox-token-expires-after-2+never", "?", wait=QUICK, **callback))
    assert mfa_sandbox.request_count(STATUS) == (0 if which == "on_update" else 3)


def test_no_fresh_token_awaited(client: HyperId) -> None:
    async def none() -> None:
        return None

    token = "sandbox-token-expires-after-2+never"
    with pytest.raises(TokenExpiredError) as expired:
        asyncio.run(client.confirm_async(token, "?", wait=QUICK, refresh_access_token=none))
    assert expired.value.transaction is not None


def test_cancelling_within_a_callback(client: HyperId, mfa_sandbox: Sandbox) -> None:
    async def story() -> int:
        ids: list[int] = []

        async def hang(so_far: TransactionState) -> None:
            ids.append(so_far.id)
            await asyncio.sleep(60)

        wait = WaitOptions(withdraw_on_cancel=True)
        task = asyncio.ensure_future(
            client.confirm_async("sandbox-never", "?", wait=wait, on_update=hang, timeout=60)
        )
        await until(lambda: ids)
        task.cancel()
        with at_most(10), pytest.raises(asyncio.CancelledError):
            await task
        return ids[0]

    assert status_of(mfa_sandbox, asyncio.run(story())) == WITHDRAWN


def test_coroutine_functions_need_an_awaited_call(client: HyperId, mfa_sandbox: Sandbox) -> None:
    async def later(*_: object) -> None:
        pass

    class Callable:
        async def __call__(self, *_: object) -> None:
            pass

    for function in later, Callable(), functools.partial(later, 1):
        for name in "on_update", "refresh_access_token":
            given: Any = {name: function}
            with pytest.raises(TypeError, match=f"{name} is a coroutine function"):
                client.confirm("sandbox-never", "?", **given)
            with pytest.raises(TypeError, match=f"{name} is a coroutine function"):
                client.wait("sandbox-never", 1, **given)
    assert mfa_sandbox.request_count() == 0
    hidden: Any = lambda so_far: later()  # noqa: E731
    with pytest.raises(TypeError, match="coroutine function"):
        client.confirm("sandbox-never", "?", on_update=hidden)


def test_what_the_log_raises_ends_no_wait(mfa_sandbox: Sandbox, loop: asyncio.AbstractEventLoop) -> None:
    """It belongs to no wait alone. The loop is told."""
    told: list[Any] = []
    main = threading.get_ident()
    seen: set[int] = set()

    def log(level: int, text: str) -> None:
        if level == logging.DEBUG:
            seen.add(threading.get_ident())
            raise Surprise

    with mfa_sandbox.hyperid(log=log, log_level=logging.DEBUG) as client:
        loop.set_exception_handler(lambda _loop, context: told.append(context["exception"]))
        assert loop.run_until_complete(client.confirm_async("sandbox-approve", "?", wait=QUICK)).approved
    assert told and {type(error) for error in told} == {Surprise}
    assert isinstance(loop, NoReaders) or seen == {main}


def test_an_interrupted_turn_loses_no_event(client: HyperId, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C may come between libmfa's event and the task that it is for."""
    interrupted: list[Event] = []
    take = _served.Served.take

    def interrupt(self: _served.Served, number: int, event: Event) -> None:
        if event.kind is EventKind.ENDED and not interrupted:
            interrupted.append(event)
            raise KeyboardInterrupt
        take(self, number, event)

    monkeypatch.setattr(_served.Served, "take", interrupt)
    loop = asyncio.new_event_loop()
    task = loop.create_task(client.confirm_async("sandbox-approve", "?", wait=QUICK, timeout=20))
    with pytest.raises(KeyboardInterrupt):
        loop.run_until_complete(task)
    loop.run_until_complete(asyncio.wait([task], timeout=10))
    assert task.done() and task.result().approved
    loop.close()


STEPS = {"_turn", "_next", "_hand_out", "forget", "put", "event_from"}


@pytest.mark.parametrize("serves", ["events", "task"])
def test_a_signal_s_handler_that_raises_doubles_no_event(client: HyperId, serves: str) -> None:
    """It may do so before each line of what hands events out. Every such place is tried, one after the other."""
    lines = 0
    for at in itertools.count(1):
        reached = False

        def trace(frame: Any, what: str, _: object, at: int = at) -> Any:
            nonlocal lines, reached
            code = frame.f_code
            if code.co_name not in STEPS or Path(code.co_filename).name not in ("_waits.py", "waiter.py"):
                return None
            if what == "line" and not reached:
                lines += 1
                if lines == at:
                    reached = True
                    raise KeyboardInterrupt
            return trace

        lines = 0
        told = _as_events(client, trace) if serves == "events" else _as_updates(client, trace)
        assert told == ["STARTED", "ENDED"], f"interrupted before line {at}"
        if not reached:
            break
    assert at > 20


def _as_events(client: HyperId, trace: Any) -> list[str]:
    kinds: list[str] = []
    with client.waiter() as waiter:
        waiter.confirm("sandbox-approve-after-1", "?", wait=WaitOptions(min_interval=0.01), timeout=20)
        while len(waiter):
            sys.settrace(trace)
            try:
                event = waiter.next(5)
            except KeyboardInterrupt:
                continue
            finally:
                sys.settrace(None)
            assert event is not None, "nobody was woken"
            kinds.append(event.kind.name)
            assert event.kind is EventKind.STARTED or event.result().approved
    return kinds


def _as_updates(client: HyperId, trace: Any) -> list[str]:
    """In a task `on_update` hears of the id once, and the answer is there once."""
    told: list[str] = []

    def on_update(so_far: TransactionState) -> None:
        told.extend(["STARTED"] * (so_far.polls == 0))

    loop = asyncio.new_event_loop()
    wait = WaitOptions(min_interval=0.01)
    call = client.confirm_async("sandbox-approve-after-1", "?", wait=wait, on_update=on_update, timeout=20)
    task = loop.create_task(call)
    while not task.done():
        sys.settrace(trace)
        try:
            _, late = loop.run_until_complete(asyncio.wait([task], timeout=10))
            assert not late, "nobody was woken"
        except KeyboardInterrupt:
            continue
        finally:
            sys.settrace(None)
    assert task.result().approved
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    return [*told, "ENDED"]


@needs_poll
def test_an_interrupted_turn_wakes_whoever_comes_next(client: HyperId) -> None:
    """The event is no longer libmfa's, so its descriptor alone would not tell of it."""
    with client.waiter() as waiter:
        waits = waiter._waits
        waiter.confirm("sandbox-never", "?", wait=WaitOptions(first_poll=60), timeout=60)
        assert waiter.next(10) is not None and waiter.next(0) is None
        assert not is_readable(waiter.fd), "there is something left"
        waits._number += 1
        waits._event.kind, waits._event.ticket = _abi.MFA_EVENT_UPDATE, 1
        waits._event.user_data = next(iter(waits._sinks))

        def interrupt(*_: object) -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            waits.turn(0, interrupt)
        assert is_readable(waiter.fd, 5.0)
        event = waiter.next(0)
        assert event is not None and event.kind is EventKind.UPDATE


def test_the_last_wait_of_a_loop_without_readers_closes_its_waiter(
    client: HyperId, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The task may be done before the thread that posted its last event goes on."""
    done = threading.Event()
    post = _awaited.Awaited.post

    def slow(self: _awaited.Awaited, number: int, event: Event) -> None:
        post(self, number, event)
        if event.kind is EventKind.ENDED:
            assert done.wait(10)

    monkeypatch.setattr(_awaited.Awaited, "post", slow)
    loop = NoReaders()
    assert loop.run_until_complete(client.confirm_async("sandbox-approve", "?", wait=QUICK, timeout=20)).approved
    loop.run_until_complete(asyncio.sleep(0))
    done.set()
    eventually(lambda: no_waiter(client))
    eventually(no_helpers)
    loop.close()


def test_closing_the_client_with_waits_under_way(
    mfa_sandbox: Sandbox, loop: asyncio.AbstractEventLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    freed: list[int] = []
    free = _library.library().mfa_hyperid_free

    def counting(pointer: int) -> None:
        free(pointer)
        freed.append(pointer)

    monkeypatch.setattr(_library.library(), "mfa_hyperid_free", counting)
    client = mfa_sandbox.hyperid()

    async def story() -> bool:
        waiting = asyncio.ensure_future(client.confirm_async("sandbox-phone", "?", wait=QUICK, timeout=20))
        await until(lambda: mfa_sandbox.request_count(STATUS))
        client.close()
        with pytest.raises(ClosedError):
            await client.confirm_async("sandbox-approve", "?")
        assert not freed
        started = mfa_sandbox.wait_for_transaction()
        assert started is not None
        mfa_sandbox.decide(started, Person.APPROVES)
        return (await waiting).approved

    assert loop.run_until_complete(story())
    eventually(lambda: len(freed) == 1)


def test_what_is_refused_leaves_nothing(client: HyperId) -> None:
    async def story() -> None:
        with pytest.raises(CallerError):
            await client.wait_async("sandbox-approve", -1)
        with pytest.raises(CallerError):
            await client.confirm_async("a b", "?")
        closed = CancelToken()
        closed._close()
        with pytest.raises(ClosedError):
            await client.confirm_async("sandbox-approve", "?", cancel=closed)
        assert no_waiter(client)

    asyncio.run(story())


@needs_proc
@pytest.mark.parametrize("withdraw", [False, True])
@pytest.mark.parametrize("make", [asyncio.SelectorEventLoop, with_uvloop, NoReaders])
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_loop_that_is_closed_with_waits_under_way(
    client: HyperId, mfa_sandbox: Sandbox, make: MakeLoop, withdraw: bool
) -> None:
    """They are dropped once the loop is collected, or taken back where that was asked for."""
    assert client.availability("sandbox-never").available
    gc.collect()
    before = descriptors()
    ids: list[int] = []

    def begin() -> None:
        loop = make()
        loop.set_exception_handler(lambda *_: None)
        wait = WaitOptions(min_interval=0.02, withdraw_on_cancel=withdraw)

        async def story() -> None:
            call = client.confirm_async(
                "sandbox-never", "?", wait=wait, on_update=lambda so_far: ids.append(so_far.id), timeout=60
            )
            task = asyncio.ensure_future(call)
            await until(lambda: len(ids) > 2)
            del task

        loop.run_until_complete(story())
        loop.close()

    begin()

    def is_over() -> bool:
        gc.collect()
        return no_helpers() and no_waiter(client)

    eventually(is_over)
    assert status_of(mfa_sandbox, ids[0]) == (WITHDRAWN if withdraw else 0)
    polls = mfa_sandbox.request_count(STATUS)
    eventually(lambda: descriptors() <= before + 2)
    time.sleep(0.2)
    assert mfa_sandbox.request_count(STATUS) == polls, "it still polls"


def test_a_coroutine_that_is_closed(client: HyperId, mfa_sandbox: Sandbox) -> None:
    """Its wait ends, and takes the question back."""

    async def story() -> None:
        ids: list[int] = []
        wait = WaitOptions(withdraw_on_cancel=True)
        call = client.confirm_async(
            "sandbox-never", "?", wait=wait, on_update=lambda so_far: ids.append(so_far.id), timeout=60
        )
        waker = call.send(None)
        while not ids:
            await until(lambda waker=waker: waker.done())  # type: ignore[misc]
            waker = call.send(None)
        call.close()
        await until(lambda: status_of(mfa_sandbox, ids[0]) == WITHDRAWN)
        await until(lambda: no_waiter(client))

    asyncio.run(story())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_waits_on_its_own() -> None:
    program = """
import asyncio, warnings
from mfa_client.exceptions import ForkedError
warnings.simplefilter("ignore")
wait = WaitOptions(min_interval=0.05)
async def confirm(what):
    return (await client.confirm_async("sandbox-" + what, "?", wait=wait, timeout=20)).approved
def child():
    asyncio.set_event_loop(None)
    try:
        waiter.next(0)
    except ForkedError:
        waiter.close()
        return asyncio.run(confirm("approve"))
async def main():
    task = asyncio.ensure_future(confirm("phone"))
    while not server.request_count("/mfa-client/transaction/status-get"):
        await asyncio.sleep(0.002)
    pid = os.fork()
    if pid == 0:
        from asyncio import events
        events._set_running_loop(None)
        os._exit(0 if child() else 1)
    while (end := os.waitpid(pid, os.WNOHANG)) == (0, 0):
        await asyncio.sleep(0.005)
    started = server.wait_for_transaction()
    server.decide(started, sandbox.Person.APPROVES)
    print(end[1], await task)
with sandbox.Sandbox(strict=True) as server, server.hyperid() as client:
    waiter = client.waiter()
    waiter.confirm("sandbox-never", "?")
    asyncio.run(main())
    print(len(waiter))
"""
    output, errors = outcome(program)
    assert output == "0 True\n1\n", errors


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_does_not_take_its_parents_event() -> None:
    program = """
import warnings
from mfa_client import _abi
from mfa_client.exceptions import ForkedError
warnings.simplefilter("ignore")
with sandbox.Sandbox(strict=True) as server, server.hyperid() as client:
    waiter = client.waiter()
    waiter.confirm("sandbox-never", "?")
    # As where one thread forks while another one takes an event.
    held = waiter._waits._event
    held.user_data, held.kind = next(iter(waiter._waits._sinks)), _abi.MFA_EVENT_ENDED
    pid = os.fork()
    if pid == 0:
        try:
            os._exit(1 if waiter.next(0) else 2)
        except ForkedError:
            os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    held.kind = _abi.MFA_EVENT_NONE
"""
    output, errors = outcome(program)
    assert output == "0\n", errors


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_fork_while_a_thread_takes_events() -> None:
    """It has the lock, and in the child nobody would ever give it back."""
    program = """
import signal, threading, warnings
from mfa_client.exceptions import ForkedError
warnings.simplefilter("ignore")
with sandbox.Sandbox(strict=True) as server, server.hyperid() as client:
    waiter = client.waiter()
    waiter.confirm("sandbox-never", "?")
    held, over = threading.Event(), threading.Event()
    def hold():
        with waiter._waits._lock:
            waiter._waits._is_turning = True
            held.set()
            over.wait()
            waiter._waits._is_turning = False
    threading.Thread(target=hold).start()
    held.wait()
    pid = os.fork()
    if pid == 0:
        signal.alarm(10)
        try:
            waiter.next(0)
        except ForkedError:
            os._exit(0)
        os._exit(1)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    over.set()
"""
    output, errors = outcome(program)
    assert output == "0\n", errors


@pytest.mark.parametrize("where", ["running", "driven", "stopped", "events", "thread"])
def test_the_end_of_a_program_takes_questions_back(where: str) -> None:
    """While a loop runs on another thread (and one more drives its waits), while none runs, and with a waiter
    of the program's own."""
    program = """
import asyncio, atexit, logging, threading, time
server = sandbox.Sandbox(strict=True)
client = server.hyperid(log=lambda level, message: None, log_level=logging.DEBUG)
ids = []
wait = WaitOptions(first_poll=0.01, withdraw_on_cancel=True)
def on_update(so_far):
    ids.append(so_far.id)
def report():
    print([server.transaction(one).status for one in sorted(set(ids))], flush=True)
mfa_client._call.atexit.unregister(mfa_client._call.under_way._end)
atexit.register(report)
atexit.register(mfa_client._call.under_way._end)
class NoReaders(asyncio.SelectorEventLoop):
    def add_reader(self, *_):
        raise NotImplementedError
loop = NoReaders() if sys.argv[1] == "driven" else asyncio.new_event_loop()
loop.set_exception_handler(lambda *_: None)
async def all():
    await asyncio.gather(*(client.confirm_async(f"sandbox-never#{n}", "?", wait=wait, on_update=on_update) for n in range(3)))
if sys.argv[1] in ("running", "driven"):
    threading.Thread(target=loop.run_forever, daemon=True).start()
    future = asyncio.run_coroutine_threadsafe(all(), loop)
    while len(set(ids)) < 3:
        time.sleep(0.002)
elif sys.argv[1] == "stopped":
    task = loop.create_task(all())
    task._log_destroy_pending = False
    async def started():
        while len(set(ids)) < 3:
            await asyncio.sleep(0.002)
    loop.run_until_complete(started())
else:
    waiter = client.waiter()
    for n in range(3):
        waiter.confirm(f"sandbox-never#{n}", "?", wait=WaitOptions(withdraw_on_cancel=True))
    def take():
        with waiter:
            while True:
                ids.append(waiter.next().transaction.id)
    threading.excepthook = lambda *_: None
    if sys.argv[1] == "thread":
        threading.Thread(target=take, daemon=True).start()
    while len(ids) < 3:
        if sys.argv[1] == "thread":
            time.sleep(0.002)
        else:
            ids.append(waiter.next().transaction.id)
print("over", flush=True)
"""
    with child(program, where) as process:
        output, errors = rest(process)
    assert (output, process.returncode) == ("over\n[4, 4, 4]\n", 0), errors
    assert where == "stopped" or errors == ""


# In greenlets.

GREEN = {
    "gevent": """
from gevent import monkey; monkey.patch_all()
import gevent
spawn, sleep = gevent.spawn, gevent.sleep
def join(ones):
    return [one.get() for one in ones]
def kill(one):
    one.kill()
def short(function, *arguments):
    return gevent.get_hub().threadpool.apply(function, arguments)
""",
    "eventlet": """
import warnings
warnings.simplefilter("ignore")
import eventlet; eventlet.monkey_patch()
spawn, sleep = eventlet.spawn, eventlet.sleep
def join(ones):
    return [one.wait() for one in ones]
def kill(one):
    one.kill()
def short(function, *arguments):
    from eventlet import tpool
    return tpool.execute(function, *arguments)
""",
}

IN_GREENLETS = """
import logging, threading, time
ticks, seen, lines = [], set(), []
def tick():
    while True:
        ticks.append(time.monotonic())
        sleep(0.005)
wait = WaitOptions(min_interval=0.05)
def on_update(so_far):
    seen.add((threading.get_ident(), so_far.id))
def confirm(number):
    what = "approve" if number % 3 else "deny"
    answer = client.confirm(f"sandbox-{what}-after-300#{number}", "?", wait=wait, on_update=on_update, timeout=30)
    assert (threading.get_ident(), answer.id) in seen, "it was told elsewhere"
    return answer.approved
def threads():
    return len(os.listdir("/proc/self/task"))
url = sys.argv[1]
with HyperId(url, allow_loopback_http=True, log=lambda *line: lines.append(line), log_level=logging.DEBUG) as client:
    spawn(tick)
    sleep(0)
    before = threads()
    asked = [spawn(confirm, number) for number in range(200)]
    sleep(0.2)
    most = threads() - before
    answers = join(asked)
    print(len(ticks), "turns of another greenlet,", most, "threads more", file=sys.stderr)
    print(answers == [number % 3 > 0 for number in range(200)], len(ticks) > 5, most <= 2, bool(lines))

    asking = spawn(confirm, 1)
    sleep(0.1)
    cancel = CancelToken()
    def ask():
        try:
            client.confirm("sandbox-never", "?", wait=wait, on_update=on_update, timeout=30, cancel=cancel)
        except Cancelled as error:
            return error.transaction.id > 0
    one = spawn(ask)
    while len(seen) < 202:
        sleep(0.005)
    cancel.trigger()
    print(join([one, asking]))

    count = len(seen)
    withdrawn = []
    def killed():
        back = WaitOptions(first_poll=0.01, withdraw_on_cancel=True)
        try:
            client.confirm("sandbox-never#killed", "?", wait=back, on_update=lambda so_far: seen.add(so_far.id), timeout=30)
        finally:
            withdrawn.append(client.status("sandbox-never#killed", max(one for one in seen if isinstance(one, int))).raw_status)
    one = spawn(killed)
    while len(seen) == count:
        sleep(0.005)
    kill(one)
    while not withdrawn:
        sleep(0.005)
    print(withdrawn)
    try:
        client.confirm("sandbox-never", "?", timeout=0.2)
    except CallTimeoutError as error:
        print(error.name)

    # The README's recipe for the short calls. On this thread each would stop all greenlets for half a second.
    count = len(ticks)
    calls = [spawn(short, client.availability, f"sandbox-slow-500#{number}") for number in range(4)]
    print([answer.available for answer in join(calls)], len(ticks) - count > 10)
    def refused():
        try:
            short(client.availability, "sandbox-token-invalid")
        except MfaError as error:
            return error.name
    print(join([spawn(refused)]))
"""


@needs_proc
@pytest.mark.parametrize("package", GREEN)
def test_other_greenlets_run_during_a_confirm(package: str) -> None:
    """One after the other they would take 60 s, and `outcome` waits for 30."""
    pytest.importorskip(package)
    with child(SERVER, stdin=True) as server:
        output, errors = outcome(IN_GREENLETS, next_line(server).strip(), before=GREEN[package])
    told = ["True True True True", "[True, True]", "[4]", "TIMEOUT"]
    assert output.splitlines() == [*told, "[True, True, True, True] True", "['TOKEN_INVALID']"], errors


# The short calls.


def helpers() -> int:
    return sum(thread.name == "libmfa" for thread in threading.enumerate())


def test_short_calls_share_few_threads(client: HyperId) -> None:
    async def story() -> None:
        most = 0

        async def look() -> None:
            nonlocal most
            while True:
                most = max(most, helpers())
                await asyncio.sleep(0.002)

        looking = asyncio.ensure_future(look())
        calls = [client.availability_async(f"sandbox-slow-20#p{n}") for n in range(100)]
        assert all(answer.available for answer in await asyncio.gather(*calls))
        looking.cancel()
        assert 1 < most <= _pool.MOST_THREADS

    asyncio.run(story())
    eventually(no_helpers)


def test_a_call_whose_turn_has_not_come(client: HyperId, mfa_sandbox: Sandbox) -> None:
    """Its deadline, its token and its task end it all the same, and nothing is sent."""

    async def story() -> None:
        block, cancel = CancelToken(), CancelToken()
        blocking = [
            asyncio.ensure_future(client.availability_async("sandbox-silent", timeout=60, cancel=block))
            for _ in range(_pool.MOST_THREADS)
        ]
        await until(lambda: mfa_sandbox.request_count(AVAILABILITY) == _pool.MOST_THREADS)
        with at_most(5), pytest.raises(CallTimeoutError):
            await client.availability_async("sandbox-approve", timeout=0.1)
        task = asyncio.ensure_future(client.availability_async("sandbox-approve", cancel=cancel))
        await asyncio.sleep(0.01)
        cancel.trigger()
        with at_most(5), pytest.raises(Cancelled):
            await task
        task = asyncio.ensure_future(client.availability_async("sandbox-approve"))
        await asyncio.sleep(0.01)
        task.cancel()
        with at_most(5), pytest.raises(asyncio.CancelledError):
            await task
        assert mfa_sandbox.request_count(AVAILABILITY) == _pool.MOST_THREADS
        block.trigger()
        ends = await asyncio.gather(*blocking, return_exceptions=True)
        assert {type(end) for end in ends} == {Cancelled}
        assert (await client.availability_async("sandbox-approve")).available

    asyncio.run(story())


# As events.


def ended(events: list[Event]) -> list[Event]:
    return [event for event in events if event.kind is EventKind.ENDED]


def test_events(client: HyperId) -> None:
    with client.waiter(max_connections=4) as waiter:
        assert len(waiter) == 0 and list(waiter) == [] and waiter
        tickets = {
            waiter.confirm(f"sandbox-{what}-after-200#{what}", "?", data=what, wait=QUICK, report_updates=True): what
            for what in ("approve", "deny", "expire")
        }
        assert len(tickets) == len(waiter) == 3 and 0 not in tickets
        events = list(waiter)
        assert len(waiter) == 0
    assert {event.ticket: event.data for event in events} == tickets
    for ticket, what in tickets.items():
        mine = [event for event in events if event.ticket == ticket]
        kinds = [event.kind for event in mine]
        assert kinds[0] is EventKind.STARTED and kinds[-1] is EventKind.ENDED and EventKind.UPDATE in kinds
        assert kinds.count(EventKind.ENDED) == kinds.count(EventKind.STARTED) == 1
        assert mine[-1].result().approved is (what == "approve")
        updates = [event.transaction for event in mine if event.kind is EventKind.UPDATE]
        assert {getattr(update, "decision", None) for update in updates} == {Decision.PENDING}
        assert not any(hasattr(event.transaction, "approved") for event in mine[:-1])
        with pytest.raises(TypeError):
            mine[0].result()
        with pytest.raises(TypeError, match="no truth value"):
            bool(mine[-1])


def test_an_error_as_an_event(client: HyperId) -> None:
    with client.waiter() as waiter:
        waiter.confirm("sandbox-no-app", "?", timeout=20)
        waiter.wait("sandbox-never", client.start("sandbox-never", "?"), timeout=0.1)
        events = ended(list(waiter))
    assert sorted(event.error.name for event in events if event.error) == [
        "AUTHENTICATOR_NOT_LINKED",
        "TIMEOUT",
    ]
    for event in events:
        with pytest.raises(MfaError):
            event.result()


def test_two_threads_that_take_events_share_them(client: HyperId) -> None:
    kinds: list[tuple[int, EventKind]] = []
    with client.waiter() as waiter, ThreadPoolExecutor(2) as pool:
        for number in range(100):
            waiter.confirm(f"sandbox-approve-after-1#{number}", "?", wait=QUICK, timeout=20)

        def take() -> None:
            while len(waiter):
                event = waiter.next(0.05)
                if event is not None:
                    kinds.append((event.ticket, event.kind))

        for each in [pool.submit(take) for _ in range(2)]:
            each.result(30)
    assert len(kinds) == len(set(kinds)) == 200


def test_a_token_as_an_event(client: HyperId, mfa_sandbox: Sandbox) -> None:
    kinds: list[EventKind] = []
    with client.waiter() as waiter:
        token = "sandbox-token-expires-after-2+phone#ann"
        waiter.confirm(token, "?", wait=QUICK, timeout=20, ask_for_token=True)
        for event in waiter:
            kinds.append(event.kind)
            if event.kind is EventKind.TOKEN_REFUSED:
                assert isinstance(event.error, TokenExpiredError) and event.transaction is not None
                mfa_sandbox.decide(event.transaction.id, Person.APPROVES)
                waiter.give_token(event.ticket, "sandbox-phone#ann")
            elif event.kind is EventKind.ENDED:
                assert event.result().approved
        waiter.confirm("sandbox-token-expired", "?", timeout=20, ask_for_token=True)
        for event in waiter:
            if event.kind is EventKind.TOKEN_REFUSED:
                waiter.give_token(event.ticket, None)
            else:
                assert isinstance(event.error, TokenExpiredError)
    assert kinds.count(EventKind.TOKEN_REFUSED) == 1 and kinds[-1] is EventKind.ENDED


def test_cancelling_and_waking(client: HyperId, mfa_sandbox: Sandbox) -> None:
    with client.waiter() as waiter, ThreadPoolExecutor(1) as pool:
        tickets = [waiter.confirm(f"sandbox-never#{n}", "?", wait=QUICK) for n in range(3)]
        assert [waiter.next().kind for _ in tickets] == [EventKind.STARTED] * 3  # type: ignore[union-attr]
        waiting = pool.submit(waiter.next)
        waiter.wake()
        assert waiting.result(timeout=5) is None and waiter.next(0.01) is None
        waiting = pool.submit(waiter.next)
        waiter.cancel(tickets[1], withdraw=True)
        event = waiting.result(timeout=5)
        assert event is not None and event.ticket == tickets[1] and isinstance(event.error, Cancelled)
        assert event.error.withdrawn and len(waiter) == 2
        waiter.cancel(tickets[1])
        waiter.cancel_all()
        assert [type(event.error) for event in waiter] == [Cancelled] * 2
        with pytest.raises(InvalidArgumentError):
            waiter.cancel(99)
        with pytest.raises(InvalidArgumentError):
            waiter.give_token(99, "t")
        with pytest.raises(InvalidArgumentError):
            waiter.next(-1)
        with pytest.raises(InvalidArgumentError, match="exclude each other"):
            waiter.confirm("t", "?", refresh_access_token=lambda: None, ask_for_token=True)
        assert len(waiter) == 0
    with pytest.raises(ClosedError):
        waiter.confirm("sandbox-never", "?")
    with pytest.raises(ClosedError):
        waiter.next(0)


@pytest.mark.parametrize("withdraw", [False, True])
def test_closing_a_waiter(client: HyperId, mfa_sandbox: Sandbox, withdraw: bool) -> None:
    with client.waiter() as waiter:
        waiter.confirm("sandbox-never", "?", wait=WaitOptions(withdraw_on_cancel=withdraw))
        event = waiter.next()
        assert event is not None and event.transaction is not None
    assert status_of(mfa_sandbox, event.transaction.id) == (WITHDRAWN if withdraw else 0)
    assert waiter.closed


def test_the_client_outlives_its_waiter(mfa_sandbox: Sandbox) -> None:
    client = mfa_sandbox.hyperid()
    waiter = client.waiter()
    waiter.confirm("sandbox-approve-after-1", "?", wait=QUICK)
    client.close()
    del client
    gc.collect()
    assert [event.result().approved for event in ended(list(waiter))] == [True]
    waiter.close()


def test_the_log_takes_no_events(mfa_sandbox: Sandbox) -> None:
    raised: list[BaseException] = []

    def log(level: int, text: str) -> None:
        try:
            waiter.next(0)
        except BaseException as error:
            raised.append(error)

    with mfa_sandbox.hyperid() as plain:
        waiter = plain.waiter()
    with mfa_sandbox.hyperid(log=log, log_level=logging.DEBUG) as client, client.waiter() as waiter:
        waiter.confirm("sandbox-approve-after-1", "?", wait=QUICK)
        raised.clear()
        assert [event.result().approved for event in ended(list(waiter))] == [True]
    assert raised and {type(error) for error in raised} == {BusyError}


def test_what_the_log_raises_loses_no_event(mfa_sandbox: Sandbox) -> None:
    def log(level: int, text: str) -> None:
        if waiter is not None:
            raise Surprise

    waiter = None
    events: list[Event] = []
    surprises = 0
    with mfa_sandbox.hyperid(log=log, log_level=logging.DEBUG) as client, client.waiter() as waiter:
        try:
            waiter.confirm("sandbox-approve-after-1", "?", wait=QUICK)
        except Surprise:
            surprises += 1
        while len(waiter):
            try:
                event = waiter.next()
            except Surprise:
                surprises += 1
            else:
                assert event is not None
                events.append(event)
    assert surprises
    assert [event.kind for event in events] == [EventKind.STARTED, EventKind.ENDED]
    assert events[-1].result().approved


def test_ctrl_c_ends_the_iterator() -> None:
    program = """
with sandbox.Sandbox(strict=True) as server, server.hyperid() as client:
    try:
        with client.waiter() as waiter:
            waiter.confirm("sandbox-never", "?", wait=WaitOptions(withdraw_on_cancel=True))
            for event in waiter:
                started = event.transaction.id
                print("waiting", flush=True)
    except KeyboardInterrupt:
        print(server.transaction(started).status)
"""
    with child(program) as process:
        assert next_line(process) == "waiting\n", rest(process)
        with at_most(10):
            process.send_signal(signal.SIGINT)
            assert (*rest(process), process.returncode) == ("4\n", "", 0)


def test_a_loop_of_the_program_s_own(client: HyperId) -> None:
    with client.waiter() as waiter, selectors.DefaultSelector() as selector:
        selector.register(waiter.fd, selectors.EVENT_READ)
        for number in range(20):
            waiter.confirm(f"sandbox-approve-after-1#{number}", "?", wait=QUICK)
        answers = []
        while len(waiter):
            assert selector.select(10)
            while (event := waiter.next(0)) is not None:
                if event.kind is EventKind.ENDED:
                    answers.append(event.result().approved)
        assert answers == [True] * 20


@pytest.mark.parametrize("unusable", ["", "with a blank", "\udc80", "x" * 20_000])
def test_a_fresh_token_that_cannot_be_used_ends_its_wait(client: HyperId, unusable: str) -> None:
    with client.waiter() as waiter:
        waiter.confirm("sandbox-token-expired", "?", timeout=300, wait=QUICK, refresh_access_token=lambda: unusable)
        with at_most(30):
            event = waiter.next()
        assert event is not None and event.kind is EventKind.ENDED
        assert isinstance(event.error, TokenExpiredError)
        assert isinstance(event.error.__cause__, CallerError)
        assert len(waiter) == 0


def test_a_waiter_that_breaks_says_whose_request_may_be_on_a_phone(
    client: HyperId, monkeypatch: pytest.MonkeyPatch
) -> None:
    posted: dict[int, Event] = {}
    with client.waiter() as waiter:
        known = waiter.confirm("sandbox-phone", "?", timeout=60)
        with at_most(30):
            started = waiter.next()
        assert started is not None and started.kind is EventKind.STARTED
        unknown = waiter.confirm("sandbox-phone", "?", timeout=60)
        waits = waiter._waits
        for sink in list(waits._sinks.values()):
            monkeypatch.setattr(sink, "post", lambda _, event: posted.__setitem__(event.ticket, event))
        # As after a panic in the library, which no test can bring about from here.
        wake = waits._library.mfa_waiter_wake
        broken = types.SimpleNamespace(mfa_waiter_next=lambda *_: 900, mfa_waiter_wake=wake)
        monkeypatch.setattr(waits, "_library", broken)
        with pytest.raises(InternalError):
            waits.turn(0, lambda *_: None)
    errors = {ticket: event.error for ticket, event in posted.items()}
    assert {ticket: error and error.outcome_unknown for ticket, error in errors.items()} == {known: False, unknown: True}
    assert errors[known] is not errors[unknown]
