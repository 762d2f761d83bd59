"""A web server: many people look at their phones at once, and one asyncio loop waits for all of them.

    python server.py (--url BASE_URL | --production) [--port N] [--save FILE] [--timeout SECONDS] [QUESTION]

    POST /sign-in        asks the person whose access token the request brings ("Authorization: Bearer ...");
                         the answer has a key, and the code that the page shows beside the question
    GET  /sign-in/KEY    what became of it: the page asks now and then, with the person's token

It listens on this machine alone. SIGINT and SIGTERM end it, and nothing is lost: FILE (a database of SQLite's)
tells who is being asked, and the next run with the same FILE goes on waiting as soon as their pages come back.
Without a FILE nobody would come back for them, so they are withdrawn. A second signal does not wait for that.

HyperID's production is asked only where --production says so. Exit status: 0 it was told to end, 2 something
went wrong.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import secrets
import signal
import sqlite3
import sys
import time
from typing import Any, Optional

from mfa_client import HyperId, MfaError, Request, Transaction, TransactionState, WaitOptions, control_code, outcome_of

MOST_AT_ONCE = 20_000
MOST_BYTES = 32_768
"""Of a request's head: an access token may have 16,384."""
REQUEST_SECONDS = 10
LAST_LOOK_SECONDS = 5
"""For a request whose time passed while no server was running: it may have been answered in time."""
START_SECONDS = 2
"""At the end, for those whose requests are on their way: until their ids are known."""

WAITING, APPROVED, PERHAPS_ASKED, AGAIN = "waiting", "approved", "perhaps-asked", "sign-in-again"
SAY = {
    WAITING: "Look at your phone, and approve only if it shows the same code.",
    APPROVED: "Welcome.",
    "denied": "You denied it.",
    "expired": "The request expired before you answered.",
    PERHAPS_ASKED: "We could not see whether our request reached your phone. If it did, decline it. Then sign in again.",
    AGAIN: "This did not work. Please sign in again.",
}


class SignIns:
    """What must outlive the program. No token is among it: after a restart the person's page brings one."""

    def __init__(self, file: str) -> None:
        # Each statement counts at once. One that has to wait holds up the loop: not for long.
        self._database = sqlite3.connect(file, isolation_level=None, timeout=1)
        self._database.execute(
            "CREATE TABLE IF NOT EXISTS sign_ins (key TEXT PRIMARY KEY, until REAL, id INTEGER, state TEXT)"
        )
        # The last run died while it asked them: nobody knows their ids.
        self._database.execute(
            "UPDATE sign_ins SET state = ? WHERE state = ? AND id IS NULL", (PERHAPS_ASKED, WAITING)
        )

    def asking(self, key: str, until: float) -> None:
        """`until`: by the clock on the wall, since a monotonic one ends with the machine."""
        self._database.execute("INSERT INTO sign_ins VALUES (?, ?, NULL, ?)", (key, until, WAITING))

    def started(self, key: str, transaction_id: int) -> None:
        self._database.execute("UPDATE sign_ins SET id = ? WHERE key = ?", (transaction_id, key))

    def ended(self, key: str, state: str) -> None:
        """What an approval opens belongs into the same transaction: it must open once."""
        self._database.execute("UPDATE sign_ins SET state = ? WHERE key = ? AND state = ?", (state, key, WAITING))

    def find(self, key: str) -> Optional[tuple[float, Optional[int], str]]:
        found: Any = self._database.execute("SELECT until, id, state FROM sign_ins WHERE key = ?", (key,)).fetchone()
        return None if found is None else tuple(found)

    def count(self, state: str) -> int:
        found: Any = self._database.execute("SELECT count(*) FROM sign_ins WHERE state = ?", (state,)).fetchone()
        return int(found[0])

    def close(self) -> None:
        self._database.close()


class Asker:
    """Asks people, and notes what becomes of it."""

    def __init__(self, client: HyperId, sign_ins: SignIns, question: str, timeout: float, is_saved: bool) -> None:
        self._client = client
        self._sign_ins = sign_ins
        self._question = question
        self._timeout = timeout
        # When time is up, a request is taken back instead of left on the phone. So it is at the server's end if
        # there is no next run that could ask for the answer.
        self._wait = WaitOptions(cancel_on_timeout=True, withdraw_on_cancel=not is_saved)
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._not_started: set[str] = set()

    def is_full(self) -> bool:
        return len(self._tasks) >= MOST_AT_ONCE

    def ask(self, token: str) -> tuple[str, str]:
        """The key, which only this person's page knows, and the code."""
        key, code = secrets.token_urlsafe(16), control_code()
        # Before the request is sent: who dies now knows afterwards that the person may have been asked.
        self._sign_ins.asking(key, time.time() + self._timeout)
        self._not_started.add(key)
        self._begin(key, self._confirm(key, token, code))
        return key, code

    def go_on(self, key: str, token: str) -> None:
        """After a restart, with the token that the person's page has now."""
        found = self._sign_ins.find(key)
        if found is None or key in self._tasks or found[1] is None or found[2] != WAITING:
            return
        left = max(found[0] - time.time(), LAST_LOOK_SECONDS)
        waiting = self._client.wait_async(token, found[1], wait=self._wait, timeout=left)
        self._begin(key, self._note(key, token, waiting))

    def _begin(self, key: str, work: Any) -> None:
        task = self._tasks[key] = asyncio.get_running_loop().create_task(work)
        task.add_done_callback(lambda _: self._tasks.pop(key, None))

    async def _confirm(self, key: str, token: str, code: str) -> None:
        def on_update(so_far: TransactionState) -> None:
            if so_far.polls == 0:
                # First of all: from here on another run can go on with it. If it cannot be saved, this raises,
                # which ends the wait; `_note` takes the request back.
                self._sign_ins.started(key, so_far.id)
                self._not_started.discard(key)

        request = Request(self._question, code=code)
        try:
            await self._note(
                key,
                token,
                self._client.confirm_async(
                    token, request, wait=self._wait, on_update=on_update, timeout=self._timeout
                ),
            )
        finally:
            self._not_started.discard(key)

    async def _note(self, key: str, token: str, waiting: Any) -> None:
        try:
            answer: Transaction = await waiting
        except asyncio.CancelledError as error:
            self._note_end_of_server(key, outcome_of(error))
        except MfaError as error:
            self._note_failure(key, error)
        except sqlite3.Error as error:
            print(f"{key[:4]}...: it cannot be saved: {error}", file=sys.stderr)
            await self._take_back(key, token, outcome_of(error))
        else:
            # The only question that opens the door: that there is an answer does not mean "yes".
            state = APPROVED if answer.approved else answer.decision.name.lower()
            self._sign_ins.ended(key, state if state in SAY else AGAIN)

    async def _take_back(self, key: str, token: str, outcome: Optional[MfaError]) -> None:
        """Nobody would come back for its answer."""
        try:
            if outcome is not None and outcome.transaction is not None:
                await self._client.cancel_async(token, outcome.transaction.id, timeout=5)
            self._sign_ins.ended(key, AGAIN)
        except (MfaError, sqlite3.Error) as error:
            print(f"{key[:4]}...: {error}", file=sys.stderr)

    def _note_failure(self, key: str, error: MfaError) -> None:
        print(f"{key[:4]}...: {error}", file=sys.stderr)
        if error.outcome_unknown:
            # Nobody knows the id, so nobody can read the answer or withdraw the request. To ask again by ourselves
            # would show two requests to the person.
            self._sign_ins.ended(key, PERHAPS_ASKED)
        else:
            self._sign_ins.ended(key, AGAIN)

    def _note_end_of_server(self, key: str, outcome: Optional[MfaError]) -> None:
        if outcome is not None and not outcome.withdrawn and outcome.transaction is not None:
            self._sign_ins.started(key, outcome.transaction.id)  # It stays on the phone, for the next run.
        elif outcome is None or not outcome.outcome_unknown:
            self._sign_ins.ended(key, AGAIN)
        # Of unknown outcome: the next run finds it without an id, and tells the person.

    async def stop(self) -> None:
        # A request whose id is not known yet could not be found again.
        latest = time.monotonic() + START_SECONDS
        while self._not_started and time.monotonic() < latest:
            await asyncio.sleep(0.01)
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class Web:
    """As much of HTTP as an example needs."""

    def __init__(self, asker: Asker, sign_ins: SignIns) -> None:
        self._asker = asker
        self._sign_ins = sign_ins

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), REQUEST_SECONDS)
            status, body = self._answer(head.decode("latin-1"))
        except (MfaError, sqlite3.Error) as error:
            print(error, file=sys.stderr)
            status, body = "500 Internal Server Error", {"say": SAY[AGAIN]}
        except (asyncio.TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError):
            writer.close()
            return
        text = json.dumps(body)
        head_out = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nCache-Control: no-store\r\n"
        writer.write(f"{head_out}Content-Length: {len(text)}\r\nConnection: close\r\n\r\n{text}".encode())
        try:
            await writer.drain()
        except ConnectionError:
            pass
        writer.close()

    def _answer(self, head: str) -> tuple[str, dict[str, str]]:
        first, *lines = head.split("\r\n")
        method, _, path = first.rpartition(" ")[0].partition(" ")
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        # A real server has the token in the person's session, and never lets the browser have it.
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            return "401 Unauthorized", {"say": "Sign in at the provider first."}
        if (method, path) == ("POST", "/sign-in"):
            return self._sign_in(token)
        if method == "GET" and path.startswith("/sign-in/"):
            return self._state(path[len("/sign-in/") :], token)
        return "404 Not Found", {"say": "There is no such page."}

    def _sign_in(self, token: str) -> tuple[str, dict[str, str]]:
        if self._asker.is_full():
            return "503 Service Unavailable", {"say": "Please come back in a minute."}
        key, code = self._asker.ask(token)
        return "202 Accepted", {"key": key, "code": code, "say": SAY[WAITING]}

    def _state(self, key: str, token: str) -> tuple[str, dict[str, str]]:
        self._asker.go_on(key, token)
        found = self._sign_ins.find(key)
        if found is None:
            return "404 Not Found", {"say": SAY[AGAIN]}
        return "200 OK", {"state": found[2], "say": SAY[found[2]]}


async def run(arguments: argparse.Namespace) -> None:
    loop, told_to_end = asyncio.get_running_loop(), asyncio.Event()

    def end() -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)  # The next one ends the program.
        told_to_end.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, end)
    sign_ins = SignIns(arguments.save or ":memory:")
    # http is for a sandbox on this machine; libmfa refuses it to any other. One client for the whole program.
    with HyperId(arguments.url, allow_loopback_http=True) as client:
        asker = Asker(client, sign_ins, arguments.question, arguments.timeout, arguments.save is not None)
        server = await asyncio.start_server(
            Web(asker, sign_ins).serve, "127.0.0.1", arguments.port, limit=MOST_BYTES, backlog=1024
        )
        print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
        await told_to_end.wait()
        server.close()
        await asker.stop()
    print(f"{sign_ins.count(APPROVED)} approved, {sign_ins.count(WAITING)} go on.", flush=True)
    sign_ins.close()


def main() -> int:
    parser = argparse.ArgumentParser(description="Asks people to confirm that they sign in.", allow_abbrev=False)
    # Nothing that is left out or misspelt asks a real person.
    server = parser.add_mutually_exclusive_group(required=True)
    server.add_argument("--url", help="HyperID's base URL")
    server.add_argument("--production", action="store_true", help="HyperID's production")
    parser.add_argument("--port", type=int, default=0, help="0: any free one")
    parser.add_argument("--save", metavar="FILE", help="a database of who is being asked")
    parser.add_argument("--timeout", type=float, default=120.0, help="seconds that a person has")
    parser.add_argument("question", nargs="?", default="Sign in?")
    arguments = parser.parse_args()
    if not 1 <= arguments.timeout <= 3600:
        parser.error("--timeout is not in 1..3600")
    if not 0 <= arguments.port <= 65535:
        parser.error("--port is not in 0..65535")
    try:
        asyncio.run(run(arguments))
    except (MfaError, OSError, sqlite3.Error) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
