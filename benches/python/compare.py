"""What Python programs use today, driven as throughput.c drives the others.

    compare.py http.client|requests PLAIN_PORT TLS_PORT CA_FILE

Takes the commands `version`, `run TRANSPORT THREADS MS` and `first TRANSPORT` on its standard
input, and answers each with one line. Every subject does the same work: see ../c/subject.h.
"""

import sys
import time

BEGAN = time.monotonic_ns()  # Before the imports that "first" is to count.

HOST = "127.0.0.1"
PATH = "/mfa-client/transaction/status-get"
BODY = b'{"transaction_id":4242}'
APPROVED = {"result": 0, "transaction_id": 4242, "transaction_status": 1,
            "transaction_complete_result": 0}
HEADERS = {
    "User-Agent": "libmfa/0.1.0",
    "Authorization": "Bearer bench-token-of-a-usual-length-0123456789abcdef",
    "Content-Type": "application/json",
    "Accept": "application/json",
    "Accept-Encoding": "identity",
}
TIMEOUT = 30


def http_client(tls, port, ca_file):
    """One connection of the standard library's, kept."""
    import http.client
    import json
    import ssl

    if tls:
        context = ssl.create_default_context(cafile=ca_file)
        connection = http.client.HTTPSConnection(HOST, port, timeout=TIMEOUT, context=context)
    else:
        connection = http.client.HTTPConnection(HOST, port, timeout=TIMEOUT)

    def call():
        connection.request("POST", PATH, body=BODY, headers=HEADERS)
        response = connection.getresponse()
        return response.status == 200 and json.loads(response.read()) == APPROVED

    return call


def requests_session(tls, port, ca_file):
    """One session of requests, kept."""
    import requests

    session = requests.Session()
    session.headers.update(HEADERS)
    url = f"{'https' if tls else 'http'}://{HOST}:{port}{PATH}"

    def call():
        # Here, because REQUESTS_CA_BUNDLE goes before the session's own setting.
        response = session.post(url, data=BODY, timeout=TIMEOUT, verify=ca_file)
        return response.status_code == 200 and response.json() == APPROVED

    return call


def version(name):
    python = f"Python {sys.version.split()[0]}"
    if name != "requests":
        return f"{python} http.client"
    import requests

    return f"{python} requests {requests.__version__}"


class Worker:
    """A thread with a connection of its own, which stays for the next run."""

    def __init__(self, make):
        import queue
        import threading

        self.make = make
        self.runs = queue.Queue()
        self.done = queue.Queue()
        threading.Thread(target=self.work, daemon=True).start()

    def work(self):
        try:
            call = self.make()
            while True:
                self.done.put(self.calls_until(call, self.runs.get()))
        except Exception as error:
            self.done.put(error)

    @staticmethod
    def calls_until(call, until):
        times, errors, before = [], 0, time.monotonic_ns()
        while True:
            errors += not call()
            after = time.monotonic_ns()
            times.append(after - before)
            before = after
            if before >= until:
                return times, errors, before


def run(workers, milliseconds):
    cpu, began = time.process_time_ns(), time.monotonic_ns()
    for worker in workers:
        worker.runs.put(began + milliseconds * 1_000_000)
    ended = [worker.done.get(timeout=60) for worker in workers]
    cpu = time.process_time_ns() - cpu
    failed = [end for end in ended if isinstance(end, Exception)]
    if failed:
        return f"failed: {failed[0]!r}"
    times = sorted(t for worker_times, _, _ in ended for t in worker_times)
    wall = max(end for _, _, end in ended) - began
    return (f"ok calls={len(times)} errors={sum(errors for _, errors, _ in ended)} wall_ns={wall} "
            f"cpu_ns={cpu} p50_ns={times[len(times) // 2]} p99_ns={times[len(times) * 99 // 100]}")


def main():
    name, plain_port, tls_port, ca_file = sys.argv[1:]
    subject = {"http.client": http_client, "requests": requests_session}[name]
    workers = {"plain": [], "tls": []}

    def make(transport):
        tls = transport == "tls"
        return subject(tls, int(tls_port if tls else plain_port), ca_file)

    for line in sys.stdin:
        command, *rest = line.split()
        if command == "version":
            print(f"ok version={version(name)}", flush=True)
        elif command == "first":
            errors = int(not make(rest[0])())
            wall = time.monotonic_ns() - BEGAN
            print(f"ok calls=1 errors={errors} wall_ns={wall}", flush=True)
        elif command == "run":
            transport, threads, milliseconds = rest[0], int(rest[1]), int(rest[2])
            pool = workers[transport]
            pool.extend(Worker(lambda: make(transport)) for _ in range(threads - len(pool)))
            print(run(pool[:threads], milliseconds), flush=True)
        else:
            print(f"failed: it does not know '{command}'", flush=True)


if __name__ == "__main__":
    main()
