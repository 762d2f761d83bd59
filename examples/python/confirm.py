"""Asks a person to confirm something on their phone, and waits for the answer.

    python confirm.py [--url BASE_URL] [--token TOKEN] [--timeout SECONDS] [QUESTION]

The token may also stand in the environment's MFA_TOKEN, where other users of the machine cannot
read it off the list of processes. Without --url it is HyperID's production that is asked.

Exit status: 0 the person approved, 1 they did not, 2 something went wrong.
"""

from __future__ import annotations

import argparse
import os
import sys
from typing import Optional

from mfa_client import HyperId, MfaError, Request, TransactionState, WaitOptions, control_code
from mfa_client.exceptions import AlreadyCompletedError

APPROVED, NOT_APPROVED, FAILED = 0, 1, 2


class Progress:
    """Remembers the id, so that the request can be taken back, and tells what is going on."""

    def __init__(self) -> None:
        self.transaction_id: Optional[int] = None

    def show(self, so_far: TransactionState) -> None:
        if self.transaction_id is None:
            # A server program would save the id here, so that a crash does not lose it.
            self.transaction_id = so_far.id
            print(f"Request {so_far.id} is on the phone.", file=sys.stderr)
        elif so_far.polls:
            seconds = round(so_far.elapsed)
            print(f"{seconds:3} s, {so_far.polls} polls: {so_far.decision.name}", file=sys.stderr)


def explain(error: MfaError) -> None:
    print(error, file=sys.stderr)
    print(type(error).__doc__, file=sys.stderr)
    if error.provider_code is not None:
        print(f"The provider's own number is {error.provider_code}.", file=sys.stderr)
    if error.retry_after:
        print(f"The server asks to wait {error.retry_after} s.", file=sys.stderr)
    if error.outcome_unknown:
        print("The request may have reached the phone all the same. Do not repeat it blindly.", file=sys.stderr)


def withdraw(client: HyperId, token: str, transaction_id: int) -> None:
    """The call has ended here, but the request is still on the phone: take it back."""
    try:
        client.cancel(token, transaction_id, timeout=5)
        print("The request was withdrawn from the phone.", file=sys.stderr)
    except AlreadyCompletedError:
        # This program was told to stop, so it grants nothing; `status` would tell the answer.
        print("The person had answered already; their answer was not used.", file=sys.stderr)
    except MfaError as error:
        print("The request could not be withdrawn:", file=sys.stderr)
        explain(error)


def confirm(client: HyperId, token: str, question: str, timeout: Optional[float]) -> int:
    code = control_code()
    print(f"{question}\nApprove only if the phone shows the code {code}. Ctrl-C gives up.", file=sys.stderr)
    progress = Progress()
    # When time is up, take the request back instead of leaving it on the phone.
    wait = WaitOptions(on_update=progress.show, cancel_on_timeout=True)
    try:
        answer = client.confirm(token, Request(question, code=code), wait=wait, timeout=timeout)
    except KeyboardInterrupt:
        print("Not approved: interrupted.")
        if progress.transaction_id is not None:
            withdraw(client, token, progress.transaction_id)
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
    parser = argparse.ArgumentParser(description="Asks a person to confirm something.")
    parser.add_argument("--url", help="HyperID's base URL; its production by default")
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
