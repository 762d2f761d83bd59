"""Thousands of waits in one asyncio loop, driven as the programs of ../c/waits.h are.

    waits.py PLAIN_PORT TLS_PORT CA_FILE mfa_client|httpx|aiohttp

MFA_CLIENT_LIBRARY names libmfa for the first of them; the others have libmfa's schedule, written by hand,
and its bound on connections. What a real program would need besides is left out: retries, tokens that
expire, withdrawing.
"""

import asyncio
import gc
import json
import os
import random
import resource
import ssl
import sys
import time

HOST = "127.0.0.1"
AVAILABILITY = "/mfa-client/availability-check"
START = "/mfa-client/transaction/start/v2"
STATUS = "/mfa-client/transaction/status-get"
QUESTION = "Sign in?"
# As libmfa sends it.
START_BODY = json.dumps(
    {
        "template_id": 4,
        "values": json.dumps(
            {"version": 1, "action": {"type": "question", "action_info": QUESTION}}, separators=(",", ":")
        ),
    },
    separators=(",", ":"),
).encode()
HEADERS = {
    "User-Agent": "libmfa/0.1.0",
    "Accept": "application/json",
    "Accept-Encoding": "identity",
    "Content-Type": "application/json",
}
# Of one wait. An approval that is later does not count.
TIMEOUT = 60
REQUEST_TIMEOUT = 30
CONNECT_TIMEOUT = 10
MOST_CONNECTIONS = 256
TOKEN_LENGTH = 1100


def token_of(person):
    return f"token-of-person-{person:08}.".ljust(TOKEN_LENGTH, "x")


class MfaClient:
    """`confirm_async`: nothing else is needed."""

    def __init__(self, base, ca_file):
        import mfa_client

        mfa_client.load(os.environ["MFA_CLIENT_LIBRARY"])
        with open(ca_file, encoding="ascii") as file:
            ca_pem = file.read()
        self.client = mfa_client.HyperId(
            base,
            ca_pem=ca_pem,
            request_timeout=REQUEST_TIMEOUT,
            connect_timeout=CONNECT_TIMEOUT,
            allow_loopback_http=True,
        )

    @staticmethod
    def version():
        import mfa_client

        return f"mfa_client {mfa_client.__version__}"

    async def confirm(self, token):
        answer = await self.client.confirm_async(token, QUESTION, timeout=TIMEOUT)
        return answer.id if answer.approved else None

    async def close(self):
        self.client.close()


class ByHand:
    """What a program does with an HTTP client: asks, and then polls on libmfa's schedule."""

    async def ask(self, path, token, body):
        status, answer = await self.post(path, {**HEADERS, "Authorization": f"Bearer {token}"}, body)
        answer = json.loads(answer)
        if status != 200 or answer["result"] != 0:
            raise ValueError(f"HTTP {status}: {answer}")
        return answer

    async def confirm(self, token):
        until = time.monotonic() + TIMEOUT
        if (await self.ask(AVAILABILITY, token, b"{}"))["is_available"] is not True:
            return None
        id = (await self.ask(START, token, START_BODY))["transaction_id"]
        known = time.monotonic()
        body = b'{"transaction_id":%d}' % id
        interval = 1.0
        while time.monotonic() + interval < until:
            await asyncio.sleep(interval)
            answer = await self.ask(STATUS, token, body)
            if answer["transaction_id"] != id:
                raise ValueError("another id")
            if answer["transaction_status"] == 1:
                return id if answer["transaction_complete_result"] == 0 else None
            interval = min(max(1.0, (time.monotonic() - known) / 10) * random.uniform(1, 1.25), 10)
        return None


class Httpx(ByHand):
    def __init__(self, base, ca_file):
        import httpx

        limits = httpx.Limits(max_connections=MOST_CONNECTIONS, max_keepalive_connections=MOST_CONNECTIONS)
        self.client = httpx.AsyncClient(
            base_url=base,
            verify=ssl.create_default_context(cafile=ca_file),
            # Its pool's own time is the wait's: requests take turns.
            timeout=httpx.Timeout(REQUEST_TIMEOUT, connect=CONNECT_TIMEOUT, pool=TIMEOUT),
            limits=limits,
            trust_env=False,
        )

    @staticmethod
    def version():
        import httpx

        return f"httpx {httpx.__version__}"

    async def post(self, path, headers, body):
        response = await self.client.post(path, headers=headers, content=body)
        return response.status_code, response.content

    async def close(self):
        await self.client.aclose()


class Aiohttp(ByHand):
    def __init__(self, base, ca_file):
        import aiohttp

        self.base = base
        context = ssl.create_default_context(cafile=ca_file)
        self.session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=MOST_CONNECTIONS, ssl=context),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT, sock_read=REQUEST_TIMEOUT),
        )

    @staticmethod
    def version():
        import aiohttp

        return f"aiohttp {aiohttp.__version__}"

    async def post(self, path, headers, body):
        async with self.session.post(self.base + path, headers=headers, data=body) as response:
            return response.status, await response.read()

    async def close(self):
        await self.session.close()


SUBJECTS = {"mfa_client": MfaClient, "httpx": Httpx, "aiohttp": Aiohttp}


class Ticker:
    """A millisecond each: how late the loop lets it run. It pauses while processor time is measured, of
    which it needs some itself."""

    PAUSE_FROM, PAUSE_UNTIL = 3.0, 7.0

    def __init__(self, may_pause):
        self.loop = asyncio.get_running_loop()
        self.began = self.loop.time()
        self.may_pause = may_pause
        self.late = []
        self.due = self.began + 0.001
        self.handle = self.loop.call_at(self.due, self.tick)

    def tick(self):
        now = self.loop.time()
        while self.due <= now:
            self.late.append(now - self.due)
            self.due += 0.001
        if self.may_pause and self.PAUSE_FROM <= now - self.began < self.PAUSE_UNTIL:
            self.due = self.began + self.PAUSE_UNTIL
        self.handle = self.loop.call_at(self.due, self.tick)

    def stop(self):
        self.tick()
        self.handle.cancel()
        late = sorted(self.late)
        p999, worst = late[(len(late) - 1) * 999 // 1000], late[-1]
        return f"late_p999_ns={p999 * 1e9:.0f} late_worst_ns={worst * 1e9:.0f}"


class Waits:
    def __init__(self, subject):
        self.subject = subject
        self.approvals = []
        self.errors = 0

    async def one(self, person):
        try:
            id = await self.subject.confirm(token_of(person))
        except Exception as error:
            self.errors += 1
            if self.errors == 1:
                print(f"{type(error).__name__}: {error}", file=sys.stderr)
            return
        if id is not None:
            self.approvals.append((id, time.monotonic_ns()))

    async def run(self, count, over, file):
        ticker = Ticker(may_pause=True)
        began, tasks = time.monotonic(), []
        while len(tasks) < count:
            gone = time.monotonic() - began
            come = count if gone >= over else int(count * gone / over)
            tasks.extend(asyncio.create_task(self.one(person)) for person in range(len(tasks), come))
            await asyncio.sleep(0.001)
        await asyncio.wait(tasks, timeout=TIMEOUT + REQUEST_TIMEOUT)
        late = ticker.stop()
        for task in tasks:
            task.cancel()
        await self.subject.close()
        with open(file, "w", encoding="ascii") as out:
            out.writelines(f"{id} {at}\n" for id, at in self.approvals)
        return f"ok errors={self.errors} approved={len(self.approvals)} {late}"


async def waits(make, count, over_ms, file):
    return await Waits(make()).run(count, over_ms / 1000, file)


async def idle(ms):
    ticker = Ticker(may_pause=False)
    await asyncio.sleep(ms / 1000)
    return f"ok errors=0 {ticker.stop()}"


def main():
    plain_port, tls_port, ca_file, name = sys.argv[1:]
    subject = SUBJECTS[name]
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    for line in sys.stdin:
        command, *rest = line.split()
        if command == "version":
            print(f"ok version=Python {sys.version.split()[0]} {subject.version()}", flush=True)
        elif command == "idle":
            print(asyncio.run(idle(int(rest[0]))), flush=True)
        elif command == "waits":
            base = f"https://{HOST}:{tls_port}" if rest[0] == "tls" else f"http://{HOST}:{plain_port}"
            gc.collect()
            work = waits(lambda: subject(base, ca_file), int(rest[1]), int(rest[2]), rest[3])
            print(asyncio.run(work), flush=True)
        else:
            print(f"failed: it does not know '{command}'", flush=True)


if __name__ == "__main__":
    main()
