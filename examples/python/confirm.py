"""Asks a person to confirm something on their phone, and waits for the answer.

    python confirm.py (--url BASE_URL | --production) [--token TOKEN] [--timeout SECONDS] [QUESTION]

The token may also stand in the environment's MFA_TOKEN, where other users of the machine cannot
read it off the list of processes. HyperID's production is
asked only where --production says so.

Exit status: 0 the person approved, 1 they did not, 2 something went wrong.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from typing import Optional

from mfa_client import (
    Cancelled,
    CancelToken,
    HyperId,
    MfaError,
    Request,
    TransactionState,
    WaitOptions,
    control_code,
)

APPROVED, NOT_APPROVED, FAILED = 0, 1, 2


def show_progress(so_far: TransactionState) -> None:
    """Called as soon as the id is known, and then after each poll."""
    if so_far.polls == 0:
        # A server program would save the id here, so that a crash does not lose it.
        print(f"Request {so_far.id} is on the phone.", file=sys.stderr)
    else:
        print(f"{so_far.elapsed:3.0f} s, {so_far.polls} polls: {so_far.decision.name}", file=sys.stderr)


def explain(error: MfaError) -> None:
    print(error, file=sys.stderr)
    print(type(error).__doc__, file=sys.stderr)
    if error.provider_code is not None:
        print(f"The provider's own number is {error.provider_code}.", file=sys.stderr)
    if error.retry_after:
        print(f"The server asks to wait {error.retry_after} s.", file=sys.stderr)
    if error.outcome_unknown:
        print("The request may have reached the phone all the same. Do not repeat it blindly.", file=sys.stderr)


def explain_interruption(error: Cancelled) -> None:
    """Ctrl-C: whether the request is off the phone again."""
    if error.withdrawn:
        print("The request was withdrawn from the phone.", file=sys.stderr)
    elif error.transaction is not None:
        still_there = f"Request {error.transaction.id} could not be withdrawn"
        print(f"{still_there}: it stays on the phone until it expires.", file=sys.stderr)
    elif error.outcome_unknown:
        explain(error)


def confirm(client: HyperId, token: str, question: str, timeout: Optional[float]) -> int:
    code = control_code()
    print(f"{question}\nApprove only if the phone shows the code {code}. Ctrl-C gives up.", file=sys.stderr)
    # When time is up, and after Ctrl-C, take the request back instead of leaving it on the phone. If
    # the person answers at that very moment, their answer counts.
    wait = WaitOptions(cancel_on_timeout=True, withdraw_on_cancel=True)
    # Ctrl-C ends the call and not the program, as a button "Cancel" would.
    interrupted = CancelToken()
    signal.signal(signal.SIGINT, lambda *_: interrupted.trigger())
    try:
        request = Request(question, code=code)
        answer = client.confirm(
            token, request, wait=wait, on_update=show_progress, timeout=timeout, cancel=interrupted
        )
    except Cancelled as error:
        print("Not approved: interrupted.")
        explain_interruption(error)
        return NOT_APPROVED
    except MfaError as error:
        explain(error)
        return FAILED
    # The only question that opens the door: that there is an answer does not mean "yes".
    if answer.approved:
        print("Approved.")
        return APPROVED
    print(f"Not approved: {answer.decision.name}.")
    return NOT_APPROVED


def main() -> int:
    parser = argparse.ArgumentParser(description="Asks a person to confirm something.", allow_abbrev=False)
    # Nothing that is left out or misspelt asks a real person.
    server = parser.add_mutually_exclusive_group(required=True)
    server.add_argument("--url", help="HyperID's base URL")
    server.add_argument("--production", action="store_true", help="HyperID's production")
    parser.add_argument("--token", default=os.environ.get("MFA_TOKEN"))
    parser.add_argument("--timeout", type=float, help="seconds")
    parser.add_argument("question", nargs="?", default="Sign in?")
    arguments = parser.parse_args()
    if not arguments.token:
        parser.error("give a --token, or MFA_TOKEN")
    try:
        # http is for a sandbox on this machine; libmfa refuses it to any other.
        with HyperId(arguments.url, allow_loopback_http=True) as client:
            return confirm(client, arguments.token, arguments.question, arguments.timeout)
    except MfaError as error:
        explain(error)
        return FAILED


if __name__ == "__main__":
    sys.exit(main())
