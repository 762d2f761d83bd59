"""`python -m mfa_client.sandbox`: a sandbox that stays, as the program `mfa-sandbox` does."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from pathlib import Path
from typing import Optional

from ._error import MfaError
from .sandbox import Sandbox, behaviours


def main(words: Optional[list[str]] = None) -> int:
    arguments = _parser().parse_args(words)
    if arguments.ca_out and not arguments.tls:
        print("--ca-out needs --tls", file=sys.stderr)
        return 2
    over = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: over.set())
    try:
        with Sandbox(
            port=arguments.port,
            tls=arguments.tls,
            lan=arguments.lan,
            capillary_http_status=arguments.capillary_http_status,
            strict=arguments.strict,
            first_id=arguments.first_id,
            life=arguments.life,
        ) as sandbox:
            _tell(sandbox, arguments.ca_out)
            if arguments.stop_with_stdin:
                threading.Thread(target=_wait_for_stdin, args=(over,), daemon=True).start()
            while not over.wait(0.5):  # With a time, so that Windows' Ctrl-C is noticed.
                pass
    except (MfaError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _tell(sandbox: Sandbox, ca_out: Optional[str]) -> None:
    if ca_out is not None and sandbox.ca_pem is not None:
        Path(ca_out).write_text(sandbox.ca_pem, encoding="ascii")
    print(f"hyperid: {sandbox.url}\ncapillary: {sandbox.capillary_url}\nphone: {sandbox.phone_url}")
    print("token: sandbox-phone\nready: yes", flush=True)
    print(f"Open {sandbox.phone_url} to answer. Ctrl-C ends it. --help lists the tokens.", file=sys.stderr)


def _wait_for_stdin(over: threading.Event) -> None:
    while sys.stdin.read(1024):
        pass
    over.set()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m mfa_client.sandbox",
        description="A local server that plays HyperID's and Capillary's MFA services, for tests and demos.",
        epilog="Access tokens choose what happens: sandbox-BEHAVIOUR[+BEHAVIOUR...][#PERSON]\n\n" + behaviours(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--port", type=int, default=0, help="0: any free one")
    add("--life", type=float, help="seconds that a request waits for the person; 120 by default")
    add("--tls", action="store_true", help="https with a certification authority new in every run")
    add("--ca-out", metavar="FILE", help="write that authority's certificate here")
    add("--lan", action="store_true", help="every interface, to use a real phone; the phone page's address has a secret")
    add("--capillary-http-status", action="store_true", help="Capillary's codes under the HTTP status as well")
    add("--strict", action="store_true", help="refuse what the provider's own clients send beside the documentation")
    add("--first-id", type=int, metavar="N", help="the first transaction's id")
    add("--stop-with-stdin", action="store_true", help="end when the standard input is closed")
    return parser
