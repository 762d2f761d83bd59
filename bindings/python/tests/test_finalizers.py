"""Finalizers: whoever goes first, in a garbage cycle or at the program's end, nobody uses what was freed.

Each story is a process of its own: what they are about ends in a SIGSEGV. Finalizers of one cycle run
in an order that nobody promises; so each story has users that are older and newer than what they use.
"""

from __future__ import annotations

import copy
import os
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from support import AVAILABILITY, outcome

from mfa_client import CancelToken, Capillary, ClosedError, HyperId
from mfa_client.sandbox import Sandbox

# `cycle` makes two owners and what they own, one owner older and one newer; nothing else refers to them.
CYCLE = """
import gc, threading, time
from mfa_client import _library

gc.disable()
ends = []

class Owner:
    def __init__(self, use):
        self.me, self.use = self, use
    def __del__(self):
        try:
            self.use(self.thing)
            ends.append("done")
        except Exception as error:
            ends.append(f"{type(error).__name__}: {error}")

def cycle(make, use):
    owners = [Owner(use)]
    owners.append(make())
    owners.append(Owner(use))
    owners[0].thing = owners[2].thing = owners[1]

def count(library, name):
    # Every call of a function of the library that frees.
    calls, plain = [], getattr(library, name)
    def counting(pointer):
        calls.append(pointer)
        plain(pointer)
    setattr(library, name, counting)
    return calls

server = sandbox.Sandbox()
native = _library.library()
"""


def of_a_cycle(program: str, *arguments: str) -> str:
    output, errors = outcome(CYCLE + program, *arguments)
    assert errors == ""
    return output


def test_a_token_that_is_triggered_after_its_end() -> None:
    program = """
freed = count(native, "mfa_cancel_free")
cycle(CancelToken, lambda token: token.trigger())
gc.collect()
print(ends, len(freed))
"""
    assert of_a_cycle(program) == "['done', 'done'] 1\n"


CALLS = {
    "hyperid": "lambda client: client.availability('sandbox-approve', timeout=10)",
    "waiting": "lambda client: client.confirm('sandbox-approve', 'Sign in?', timeout=10)",
    "capillary": "lambda client: client.is_mfa_registered('demo-brand', 'd', 'sandbox-registered', timeout=10)",
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("log", ["", "log=lambda level, text: None, log_level=10"], ids=["", "log"])
def test_a_client_that_is_used_after_its_end(call: str, log: str) -> None:
    kind = "capillary" if call == "capillary" else "hyperid"
    program = f"""
freed = count(native, "mfa_{kind}_free")
cycle(lambda: server.{kind}({log}), {CALLS[call]})
gc.collect()
assert set(ends) <= {{"done",
    "ClosedError: CLOSED: this HyperId is closed", "ClosedError: CLOSED: this Capillary is closed"}}, ends
print(len(ends), any(end.startswith("ClosedError") for end in ends), len(freed))
"""
    assert of_a_cycle(program) == "2 True 1\n"


def test_a_call_with_a_token_after_its_end() -> None:
    program = """
client = server.hyperid()
def use(token):
    client.availability("sandbox-approve", cancel=token)
def wait(token):
    client.confirm("sandbox-approve", "Sign in?", on_update=lambda state: None, cancel=token)
for how in use, wait:
    ends.clear()
    cycle(CancelToken, how)
    gc.collect()
    assert set(ends) <= {"done", "ClosedError: CLOSED: this CancelToken is closed"}, ends
    print(len(ends), any(end.startswith("ClosedError") for end in ends))
"""
    assert of_a_cycle(program) == "2 True\n2 True\n"


def test_a_sandbox_that_is_used_after_its_end() -> None:
    program = """
from mfa_client.sandbox import _library
freed = count(_library(), "mfa_sandbox_free")
cycle(sandbox.Sandbox, lambda server: server.request_count())
gc.collect()
assert set(ends) <= {"done", "ClosedError: CLOSED: this Sandbox is closed"}, ends
print(len(ends), any(end.startswith("ClosedError") for end in ends), len(freed))
"""
    assert of_a_cycle(program) == "2 True 1\n"


def test_a_generator_that_nobody_ends() -> None:
    program = """
def asks(client, token):
    try:
        yield
    finally:
        token.trigger()
        try:
            client.cancel("sandbox-approve", 1)
        except Exception as error:
            ends.append(type(error).__name__)

def abandon():
    box = [server.hyperid(), CancelToken()]
    for turn in range(2):
        box.append(asks(box[0], box[1]))
        next(box[-1])
    box.append(box)

abandon()
gc.collect()
print(ends)
"""
    assert of_a_cycle(program) == "['ClosedError', 'ClosedError']\n"


def test_a_log_that_refers_to_its_client() -> None:
    """Its callback is held by ctypes, and goes after the client."""
    program = """
freed = count(native, "mfa_hyperid_free")
class App:
    def __init__(self):
        self.lines = 0
        self.client = server.hyperid(log=self.log, log_level=10)
    def log(self, level, text):
        self.lines += 1
    def __del__(self):
        try:
            self.client.availability("sandbox-approve")
        except ClosedError:
            ends.append(self.lines > 0)

for turn in range(20):
    App().client.availability("sandbox-approve")
gc.collect()
assert len(ends) <= 20 and all(ends), ends
print(len(freed))
"""
    assert of_a_cycle(program) == "20\n"


IN_FLIGHT = {
    "client": """
freed = count(native, "mfa_hyperid_free")
stop = CancelToken()
make = server.hyperid
def call(client):
    client.availability("sandbox-silent", timeout=60, cancel=stop)
def end():
    stop.trigger()
under_way = lambda: server.wait_for_requests(1)
""",
    "log": """
freed = count(native, "mfa_hyperid_free")
stop = CancelToken()
make = lambda: server.hyperid(log=lambda level, text: None, log_level=10)
def call(client):
    client.availability("sandbox-silent", timeout=60, cancel=stop)
def end():
    stop.trigger()
under_way = lambda: server.wait_for_requests(1)
""",
    "token": """
client = server.hyperid()
freed = count(native, "mfa_cancel_free")
make = CancelToken
def call(token):
    client.start("sandbox-silent", "Sign in?", timeout=60, cancel=token)
def end():
    server.close()
under_way = lambda: server.wait_for_requests(1)
""",
    "sandbox": """
from mfa_client.sandbox import _library
freed = count(_library(), "mfa_sandbox_free")
other = []
def make():
    server = sandbox.Sandbox()
    other.append(server.hyperid())
    return server
def call(server):
    other.append(server._handle)
    assert server.wait_for_transaction(60)
def end():
    try:
        other[0].start("sandbox-approve", "Sign in?")
    except NetworkError:
        pass  # It went as soon as nobody waited any more.
def under_way():
    while len(other) < 2 or not other[1]._uses:
        time.sleep(0.001)
    return True
""",
}


@pytest.mark.parametrize("what", IN_FLIGHT)
def test_a_call_under_way_while_its_handle_ends(what: str) -> None:
    """A finalizer hands what it owns to another thread; the collector ends it all the same."""
    program = (
        IN_FLIGHT[what]
        + """
threads, frees = [], []
def work(thing):
    try:
        call(thing)
    except (Cancelled, NetworkError):
        pass
    frees.append(len(freed))

class Starter:
    def __init__(self):
        self.me = self
    def __del__(self):
        threads.append(threading.Thread(target=work, args=(self.thing,)))
        threads[0].start()
        assert under_way()

def begin():
    starter = Starter()
    starter.thing = make()

begin()
gc.collect()
during = len(freed)
end()
threads[0].join()
threads.clear()
print(during, frees, len(freed))
"""
    )
    assert of_a_cycle(program) in ("0 [0] 1\n", "0 [1] 1\n")


def test_the_end_of_a_program_with_global_handles() -> None:
    program = """
class Last:
    def __init__(self, *things):
        self.things = things
    def __del__(self):
        for thing, use in self.things:
            try:
                use(thing)
            except Exception as error:
                print(type(error).__name__, flush=True)

uses = (
    lambda thing: thing.trigger(),
    lambda thing: thing.availability("sandbox-approve", timeout=5),
    lambda thing: thing.confirm("sandbox-approve", "Sign in?", timeout=5),
    lambda thing: thing.request_count(),
)
def every():
    return Last((token, uses[0]), (client, uses[1]), (client, uses[2]), (server, uses[3]))
def bound():
    # What belongs to a class goes late.
    class Holder:
        last = every()
    return Holder

# They must not be ended by counting alone: each is in a cycle with the module.
client, token = server.hyperid(), CancelToken()
older = every()
newer = bound()
"""
    output, errors = outcome(CYCLE + program)
    assert errors == ""
    assert set(output.split()) <= {"ClosedError", "LibraryError"}, output


def test_the_end_of_a_program_with_plain_calls_under_way() -> None:
    """Daemon threads never come back from them, and hold what they use."""
    program = """
client, token = server.hyperid(), CancelToken()
for _ in range(4):
    work = lambda: client.availability("sandbox-silent", timeout=60, cancel=token)
    threading.Thread(target=work, daemon=True).start()
assert server.wait_for_requests(4)
class Last:
    def __del__(self, client=client, token=token):
        token.trigger()
last = Last()
client.last = last
"""
    assert of_a_cycle(program) == ""


def test_asyncio_in_a_finalizer_at_the_program_s_end() -> None:
    """A thread that is started then never runs; nobody may wait for it."""
    program = """
import asyncio
class Last:
    def __init__(self):
        self.loop = asyncio.new_event_loop()
    def __del__(self):
        call = self.client.availability_async("sandbox-approve", timeout=5)
        try:
            print(self.loop.run_until_complete(call).available, flush=True)
        except (ClosedError, NetworkError) as error:
            print(type(error).__name__, flush=True)
        self.loop.close()
older = Last()
older.client = server.hyperid()
"""
    output, errors = outcome(CYCLE + program)
    assert errors == ""
    assert output in ("True\n", "ClosedError\n", "ConnectError\n")


@pytest.mark.parametrize("how", ["close", "collect"])
def test_a_coroutine_that_nobody_ends(how: str) -> None:
    """Its call ends with it, also where the loop is closed already."""
    program = """
import asyncio
client = server.hyperid()

async def story():
    call = client.availability_async("sandbox-silent", timeout=60)
    call.send(None)
    assert await asyncio.get_running_loop().run_in_executor(None, server.wait_for_requests, 1)
    if sys.argv[1] == "close":
        call.close()
    else:
        Owner(None).thing = call

def helpers():
    return sum(thread.name == "libmfa" for thread in threading.enumerate())

asyncio.run(story())
gc.collect()
latest = time.monotonic() + 10
while helpers() and time.monotonic() < latest:
    time.sleep(0.01)
print(helpers())
"""
    assert of_a_cycle(program, how) == "0\n"


HALF_MADE = """
class Mine(kind):
    def __del__(self):
        try:
            use(self)
            ends.append("done")
        except ClosedError:
            ends.append("ClosedError")
        except BaseException as error:
            ends.append(repr(error))
"""


@pytest.mark.parametrize("fails", ["argument", "library", "new"])
def test_finalizers_of_what_was_not_made(fails: str) -> None:
    program = """
from mfa_client import _library
from mfa_client.sandbox import _library as sandboxes
ends, fails = [], sys.argv[1]
for loader in _library.library, sandboxes:
    if fails == "library":
        loader._library, loader._path = None, "/there/is/no/such.so"
for kind, arguments, uses in (
    (HyperId, {"request_timeout": -1}, (repr, HyperId.close, lambda it: it.closed, lambda it: it.status("t", 1))),
    (Capillary, {"base_url": "?"}, (repr, Capillary.close, lambda it: it.is_mfa_registered("b", "d", "t"))),
    (sandbox.Sandbox, {"port": -1}, (repr, sandbox.Sandbox.close, sandbox.Sandbox.push_count)),
    (CancelToken, {"nonsense": 1}, (repr, CancelToken.trigger, lambda it: it.triggered)),
):
    for use in uses:
        exec(mine)
        try:
            if fails == "new":
                Mine.__new__(Mine)
            else:
                Mine(**arguments)
        except (CallerError, LibraryError, TypeError):
            pass
assert len(ends) == 13 and set(ends) <= {"done", "ClosedError"}, ends
"""
    program = f"mine = '''{HALF_MADE}'''\n" + program
    assert outcome(program, fails) == ("", "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_cycle_that_a_forked_child_collects() -> None:
    program = """
freed = count(native, "mfa_hyperid_free")
cycle(server.hyperid, lambda client: client.close())
cycle(CancelToken, lambda token: token.trigger())
import warnings
warnings.simplefilter("ignore")
child = os.fork()
gc.collect()
if child == 0:
    os._exit(0 if ends == ["done"] * 4 and len(freed) == 1 else 1)
print(ends, len(freed), os.waitpid(child, 0)[1])
"""
    assert of_a_cycle(program) == "['done', 'done', 'done', 'done'] 1 0\n"


def test_a_token_that_is_made_anew_during_a_call() -> None:
    program = """
freed = count(native, "mfa_cancel_free")
token, client = CancelToken(), server.hyperid()
def call():
    try:
        client.start("sandbox-silent", "Sign in?", timeout=60, cancel=token)
    except NetworkError:
        ends.append("ended")
thread = threading.Thread(target=call)
thread.start()
assert server.wait_for_requests(1)
token.__init__()
print(len(freed))
server.close()
thread.join()
print(ends, len(freed))
"""
    assert of_a_cycle(program) == "0\n['ended'] 1\n"


def test_closing_races_with_calls(mfa_sandbox: Sandbox) -> None:
    for turn in range(40):
        client = mfa_sandbox.hyperid(log=(lambda level, text: None) if turn % 2 else None)
        gate = threading.Barrier(5)

        def call(client: HyperId = client, gate: threading.Barrier = gate) -> str:
            gate.wait()
            for _ in range(1000):
                try:
                    assert client.availability("sandbox-approve").available
                except ClosedError:
                    return "closed"
            return "too late"

        with ThreadPoolExecutor(4) as pool:
            calls = [pool.submit(call) for _ in range(4)]
            gate.wait()
            mfa_sandbox.wait_for_requests(mfa_sandbox.request_count(AVAILABILITY) + 2, AVAILABILITY)
            client.close()
            client.close()
            assert [each.result() for each in calls] == ["closed"] * 4


def test_what_has_a_handle_is_neither_copied_nor_pickled(mfa_sandbox: Sandbox, client: HyperId) -> None:
    capillary = Capillary("https://capillary.example")
    for thing in client, capillary, CancelToken(), mfa_sandbox, client._handle, Mine(mfa_sandbox.url):
        name = type(thing).__name__
        for refused in copy.copy, copy.deepcopy, pickle.dumps:
            with pytest.raises(TypeError, match=f"{name} cannot be copied or pickled"):
                refused(thing)
    assert not client.closed and client.availability("sandbox-approve").available


class Mine(HyperId):
    def __init__(self, url: str) -> None:
        super().__init__(url, allow_loopback_http=True)
