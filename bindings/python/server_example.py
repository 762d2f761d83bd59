"""What examples/python/server.py promises, for run_tests.py: many people, restarts, and ends of every kind."""

from __future__ import annotations

import http.client
import json
import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Callable
from urllib.parse import urlsplit

LIMIT = 60.0
WITHDRAWN = 4

SANDBOX = """
import sys
from mfa_client.sandbox import Sandbox
with Sandbox(first_id=1000) as sandbox:
    print(sandbox.url, flush=True)
    answers = {
        "pushes": sandbox.push_count,
        "pending": lambda: sandbox.wait_for_transaction(0.05) is not None,
        "status of the first": lambda: sandbox.transaction(1000).status,
    }
    for line in sys.stdin:
        print(answers[line.strip()](), flush=True)
"""


class Page:
    """A person's web page."""

    def __init__(self, url: str, token: str) -> None:
        self.token = token
        self.key = self._ask(url, "POST", "/sign-in")["key"]

    def state(self, url: str) -> str:
        return str(self._ask(url, "GET", f"/sign-in/{self.key}")["state"])

    def _ask(self, url: str, method: str, path: str) -> Any:
        connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=LIMIT)
        try:
            connection.request(method, path, headers={"Authorization": f"Bearer {self.token}"})
            answer = connection.getresponse()
            expect(answer.status in (200, 202), f"{method} {path}: {answer.status}")
            return json.loads(answer.read())
        finally:
            connection.close()


class ServerExample:
    def __init__(self, python: Path, example: Path, temp: Path, environment: dict[str, str]) -> None:
        self._python = python
        self._example = example
        self._file = temp / "server.sqlite"
        self._environment = environment

    def stories(self) -> dict[str, Callable[[], None]]:
        return {
            "two hundred at once, on few threads": self.two_hundred,
            "a restart loses no answer and asks nobody twice": self.a_restart,
            "without a file a signal withdraws all": self.without_a_file,
            "who may have been asked is told so": self.unknown_outcomes,
            "a request on its way is known before the end": self.on_their_way,
            "what cannot be saved is taken back": self.cannot_be_saved,
        }

    def two_hundred(self) -> None:
        with self._sandbox() as sandbox, self._server(sandbox) as server:
            tokens = [f"sandbox-{'approve' if n % 3 else 'deny'}-after-500#p{n}" for n in range(200)]
            pages = self._pages(server.url, tokens)
            states = self._until_ended(server.url, pages)
            expect(states == ["approved" if n % 3 else "denied" for n in range(200)], f"{states}")
            threads = len(list(Path(f"/proc/{server.process.pid}/task").glob("*"))) or 1
            expect(threads <= 3, f"it has {threads} threads")
            expect(server.end(signal.SIGTERM) == (0, "133 approved, 0 go on."), server.told)

    def a_restart(self) -> None:
        with self._sandbox() as sandbox:
            with self._server(sandbox, "--save", self._fresh_file()) as first:
                pages = self._pages(first.url, [f"sandbox-approve-after-6000#p{n}" for n in range(50)])
                eventually(lambda: len(self._ids()) == 50)
                ids = self._ids()
                expect(first.end(signal.SIGTERM) == (0, "0 approved, 50 go on."), first.told)
            with self._server(sandbox, "--save", self._file) as second:
                states = self._until_ended(second.url, pages)
                expect(states == ["approved"] * 50 and self._ids() == ids, f"{states}")
                expect(second.end(signal.SIGTERM) == (0, "50 approved, 0 go on."), second.told)
            expect(sandbox.ask("pushes") == "50", "somebody was asked twice")

    def without_a_file(self) -> None:
        with self._sandbox() as sandbox, self._server(sandbox) as server:
            self._pages(server.url, [f"sandbox-phone#p{n}" for n in range(20)])
            eventually(lambda: sandbox.ask("pushes") == "20")
            expect(server.end(signal.SIGINT) == (0, "0 approved, 0 go on."), server.told)
            expect(sandbox.ask("pending") == "False", "a request is still on a phone")

    def unknown_outcomes(self) -> None:
        with self._sandbox() as sandbox:
            with self._server(sandbox, "--save", self._fresh_file()) as server:
                lost = self._pages(server.url, ["sandbox-lose-start"])
                expect(self._until_ended(server.url, lost) == ["perhaps-asked"], "it is not said")
                silent = self._pages(server.url, ["sandbox-silent@start#bob"])
                server.process.kill()
            with self._server(sandbox, "--save", self._file) as server:
                expect([page.state(server.url) for page in lost + silent] == ["perhaps-asked"] * 2, "it is forgotten")
                expect(server.end(signal.SIGTERM) == (0, "0 approved, 0 go on."), server.told)

    def on_their_way(self) -> None:
        with self._sandbox() as sandbox:
            with self._server(sandbox, "--save", self._fresh_file()) as server:
                self._pages(server.url, [f"sandbox-phone+slow-500@start#p{n}" for n in range(10)])
                expect(server.end(signal.SIGTERM) == (0, "0 approved, 10 go on."), server.told)
            expect(len(self._ids()) == 10, "an id is not known")

    def cannot_be_saved(self) -> None:
        with self._sandbox() as sandbox, self._server(sandbox, "--save", self._fresh_file()) as server:
            self._pages(server.url, ["sandbox-phone+slow-1000@start"])
            database = sqlite3.connect(self._file, isolation_level=None, timeout=LIMIT)
            database.execute("BEGIN EXCLUSIVE")
            eventually(lambda: sandbox.ask("pushes") == "1")
            eventually(lambda: sandbox.ask("status of the first") == str(WITHDRAWN))
            database.close()
            server.end(signal.SIGTERM)

    def _fresh_file(self) -> Path:
        self._file.unlink(missing_ok=True)
        return self._file

    def _ids(self) -> list[int]:
        database = sqlite3.connect(self._file)
        try:
            return [row[0] for row in database.execute("SELECT id FROM sign_ins WHERE id IS NOT NULL ORDER BY key")]
        finally:
            database.close()

    def _pages(self, url: str, tokens: list[str]) -> list[Page]:
        with ThreadPoolExecutor(16) as pool:
            return list(pool.map(lambda token: Page(url, token), tokens))

    def _until_ended(self, url: str, pages: list[Page]) -> list[str]:
        def states() -> list[str]:
            with ThreadPoolExecutor(16) as pool:
                return list(pool.map(lambda page: page.state(url), pages))

        eventually(lambda: "waiting" not in states())
        return states()

    @contextmanager
    def _sandbox(self) -> Iterator[Sandbox]:
        with self._process("-c", SANDBOX) as process:
            yield Sandbox(process)

    @contextmanager
    def _server(self, sandbox: Sandbox, *words: object) -> Iterator[Server]:
        with self._process(self._example, "--url", sandbox.url, *words) as process:
            yield Server(process)

    @contextmanager
    def _process(self, *words: object) -> Iterator[subprocess.Popen[str]]:
        with subprocess.Popen(
            [str(word) for word in (self._python, *words)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=self._environment,
        ) as process:
            try:
                yield process
            finally:
                process.kill()


class Sandbox:
    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.url = line_of(process)

    def ask(self, what: str) -> str:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{what}\n")
        self._process.stdin.flush()
        return line_of(self._process)


class Server:
    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.url = line_of(process)
        self.told = ""

    def end(self, number: int) -> tuple[int, str]:
        self.process.send_signal(number)
        self.told = line_of(self.process)
        return self.process.wait(timeout=LIMIT), self.told


def line_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def eventually(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + LIMIT
    while not condition():
        expect(time.monotonic() < end, "it did not come to that in time")
        time.sleep(0.05)


def expect(condition: object, otherwise: str) -> None:
    if not condition:
        raise RuntimeError(otherwise)
