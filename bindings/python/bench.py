#!/usr/bin/env python3
"""What a call costs in Python above what it costs in C, and what `requests` takes for the same one.

    python bench.py --library libmfa.so [--calls N]

Needs a C compiler. Two measurements:

1. The binding alone: a stub in place of libmfa whose functions answer at once.
2. The whole call, over a kept connection to a lean server on this machine: from C, from Python, and
   with `requests`, if it is installed. Processor time is that of the calling process, which the
   server's and other programs' does not blur.

Every number is the best of several rounds, in microseconds a call.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Callable

HERE = Path(__file__).resolve().parent
INCLUDE = HERE.parent.parent / "include"
ROUNDS = 9

# One connection a thread, an answer for each request, and nothing else.
SERVER = r"""
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
static const char ANSWER[] = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 32\r\n\r\n"
    "{\"result\":0,\"is_available\":true}";
static void *serve(void *arg) {
  int fd = (int)(long)arg, one = 1;
  char buffer[65536];
  size_t held = 0;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  for (;;) {
    ssize_t n = read(fd, buffer + held, sizeof buffer - 1 - held);
    if (n <= 0) break;
    held += (size_t)n;
    buffer[held] = 0;
    /* Every request's body is "{}". */
    if (held > 2 && memcmp(buffer + held - 2, "{}", 2) == 0 && strstr(buffer, "\r\n\r\n")) {
      if (write(fd, ANSWER, sizeof ANSWER - 1) < 0) break;
      held = 0;
    }
  }
  close(fd);
  return NULL;
}
int main(void) {
  struct sockaddr_in a = {0};
  socklen_t size = sizeof a;
  int s = socket(AF_INET, SOCK_STREAM, 0);
  a.sin_family = AF_INET;
  a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  bind(s, (struct sockaddr *)&a, sizeof a);
  listen(s, 64);
  getsockname(s, (struct sockaddr *)&a, &size);
  printf("http://127.0.0.1:%d\n", ntohs(a.sin_port));
  fflush(stdout);
  for (;;) {
    pthread_t t;
    int fd = accept(s, NULL, NULL);
    if (fd < 0) continue;
    pthread_create(&t, NULL, serve, (void *)(long)fd);
    pthread_detach(t);
  }
}
"""

CLIENT = r"""
#define _POSIX_C_SOURCE 200809L
#include <mfa.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
static double now(clockid_t id) { struct timespec t; clock_gettime(id, &t); return t.tv_sec * 1e6 + t.tv_nsec / 1e3; }
int main(int argc, char **argv) {
  mfa_client_options o = MFA_CLIENT_OPTIONS_INIT;
  mfa_error e = MFA_ERROR_INIT;
  mfa_hyperid *c;
  int rounds = atoi(argv[2]), calls = atoi(argv[3]);
  double wall = 1e18, cpu = 1e18;
  (void)argc;
  o.base_url = argv[1];
  o.flags = MFA_CLIENT_ALLOW_LOOPBACK_HTTP;
  if (mfa_hyperid_new(&o, &c, &e)) return 1;
  for (int r = 0; r < rounds; r++) {
    double w = now(CLOCK_MONOTONIC), p = now(CLOCK_PROCESS_CPUTIME_ID);
    for (int i = 0; i < calls; i++) {
      mfa_availability a = MFA_AVAILABILITY_INIT;
      if (mfa_hyperid_availability(c, "bench", NULL, &a, &e) || !a.available) { puts(e.message); return 1; }
    }
    w = (now(CLOCK_MONOTONIC) - w) / calls; p = (now(CLOCK_PROCESS_CPUTIME_ID) - p) / calls;
    if (w < wall) wall = w;
    if (p < cpu) cpu = p;
  }
  printf("%f %f\n", wall, cpu);
  return 0;
}
"""

STUB = r"""
#include <mfa.h>
#include <stdlib.h>
uint32_t mfa_abi_version(void) { return MFA_ABI_VERSION; }
size_t mfa_struct_size(const char *n) { (void)n; return 4096; }
mfa_code mfa_hyperid_new(const mfa_client_options *o, mfa_hyperid **out, mfa_error *e) {
  (void)o; (void)e; *out = malloc(1); return 0; }
void mfa_hyperid_free(mfa_hyperid *c) { free(c); }
mfa_code mfa_hyperid_availability(const mfa_hyperid *c, const char *t, const mfa_call_options *o,
    mfa_availability *out, mfa_error *e) { (void)c; (void)t; (void)o; (void)e; out->available = 1; return 0; }
mfa_code mfa_hyperid_confirm(const mfa_hyperid *c, const char *t, const mfa_request *q, const mfa_wait_options *w,
    const mfa_call_options *o, mfa_transaction *out, mfa_error *e) {
  (void)c; (void)t; (void)q; (void)w; (void)o; (void)e; out->decision = 1; out->transaction_id = 1; return 0; }
int32_t mfa_is_approved(mfa_code c, const mfa_transaction *t) { return c == 0 && t->decision == 1; }
mfa_cancel *mfa_cancel_new(void) { return malloc(1); }
void mfa_cancel_free(mfa_cancel *c) { free(c); }
"""

# The measurements that need a library each, in a process each.
MEASURE = """
import asyncio, json, sys, time
sys.path.insert(0, sys.argv[1])
import bench, mfa_client
mfa_client.load(sys.argv[2])
print(json.dumps(getattr(bench, sys.argv[3])(*sys.argv[4:])))
"""


def best(call: Callable[[], object], calls: int) -> tuple[float, float]:
    """Wall time and this process' processor time, in microseconds a call."""
    walls, processor = [], []
    for _ in range(ROUNDS):
        wall, cpu = time.perf_counter(), time.process_time()
        for _ in range(calls):
            call()
        walls.append((time.perf_counter() - wall) / calls * 1e6)
        processor.append((time.process_time() - cpu) / calls * 1e6)
    return min(walls), min(processor)


def of_the_binding(calls: str) -> list[tuple[str, tuple[float, float]]]:
    import asyncio

    from mfa_client import HyperId

    client, count = HyperId(), int(calls)

    async def awaited() -> tuple[float, float]:
        began, cpu = time.perf_counter(), time.process_time()
        for _ in range(count // 10):
            await client.availability_async("bench")
        per_call = 1e6 / (count // 10)
        return (time.perf_counter() - began) * per_call, (time.process_time() - cpu) * per_call

    return [
        ("availability", best(lambda: client.availability("bench"), count)),
        ("availability, with a timeout", best(lambda: client.availability("bench", timeout=5), count)),
        ("confirm on the main thread (interruptible)", best(lambda: client.confirm("bench", "?"), count // 10)),
        ("availability_async", min(asyncio.run(awaited()) for _ in range(ROUNDS))),
    ]


def over_the_wire(url: str, calls: str) -> list[tuple[str, tuple[float, float]]]:
    from mfa_client import HyperId

    client = HyperId(url, allow_loopback_http=True)
    return [("mfa_client", best(lambda: client.availability("bench"), int(calls)))]


def with_requests(url: str, calls: str) -> list[tuple[str, tuple[float, float]]]:
    import requests

    session = requests.Session()
    session.trust_env = False

    def call() -> bool:
        answer = session.post(
            f"{url}/mfa-client/availability-check",
            json={},
            headers={"Authorization": "Bearer bench"},
            timeout=30,
        )
        body: Any = answer.json()
        return answer.status_code == 200 and body["result"] == 0 and body["is_available"] is True

    return [("requests", best(call, int(calls) // 4))]


def compiled(folder: Path, name: str, source: str, *flags: str) -> Path:
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        sys.exit("this needs a C compiler")
    file, output = folder / f"{name}.c", folder / name
    file.write_text(source, encoding="utf-8")
    subprocess.run([compiler, "-O2", f"-I{INCLUDE}", "-o", output, file, *flags], check=True)
    return output


def stub(folder: Path) -> Path:
    """Functions that the measurement does not call need only be there."""
    sys.path.insert(0, str(HERE / "src"))
    from mfa_client import _abi

    rest = [name for name in _abi.FUNCTIONS if f" {name}(" not in STUB and f"*{name}(" not in STUB]
    (folder / "rest.c").write_text("".join(f"void {name}(void) {{}}\n" for name in rest))
    return compiled(folder, "libstub.so", STUB, str(folder / "rest.c"), "-shared", "-fPIC")


def measured(library: Path, function: str, *arguments: object) -> Any:
    words = [sys.executable, "-c", MEASURE, HERE, library, function, *arguments]
    environment = {**os.environ, "PYTHONPATH": str(HERE / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([str(word) for word in words], stdout=subprocess.PIPE, check=True, env=environment)
    return json.loads(done.stdout)


def show(name: str, times: tuple[float, float]) -> None:
    print(f"  {name:<44} {times[0]:8.1f} {times[1]:8.1f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--library", type=Path, required=True, help="libmfa.so, built for release")
    parser.add_argument("--calls", type=int, default=2000, help="a round")
    arguments = parser.parse_args()
    library = arguments.library.resolve()
    with tempfile.TemporaryDirectory(prefix="mfa-client-") as name:
        folder = Path(name)
        print(f"Python {sys.version.split()[0]}; microseconds a call: wall, processor\nthe binding alone")
        for what, times in measured(stub(folder), "of_the_binding", arguments.calls):
            show(what, times)
        # The loader looks for the library under its SONAME.
        (folder / "libmfa.so.1").symlink_to(library)
        client = compiled(folder, "client", CLIENT, str(folder / "libmfa.so.1"), f"-Wl,-rpath,{folder}")
        server = subprocess.Popen(
            [compiled(folder, "server", SERVER, "-pthread")], stdout=subprocess.PIPE, text=True
        )
        try:
            assert server.stdout is not None
            url = server.stdout.readline().strip()
            print("the whole call")
            words = [client, url, ROUNDS, arguments.calls]
            output = subprocess.run([str(word) for word in words], stdout=subprocess.PIPE, text=True, check=True)
            wall, cpu = map(float, output.stdout.split())
            show("C", (wall, cpu))
            for what, times in measured(library, "over_the_wire", url, arguments.calls):
                show(what, times)
                show("  above C", (times[0] - wall, times[1] - cpu))
            try:
                import requests  # noqa: F401
            except ImportError:
                print("  requests is not installed")
            else:
                for what, times in measured(library, "with_requests", url, arguments.calls):
                    show(what, times)
        finally:
            server.kill()
            server.wait()


if __name__ == "__main__":
    main()
