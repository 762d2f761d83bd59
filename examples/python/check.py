"""What a person can confirm with: HyperID's app and second factors, Capillary's registration.

    python check.py (--url BASE_URL | --production) [--token TOKEN]
                    [--capillary-url BASE_URL --brand BRAND --device DEVICE --authorized-token TOKEN]

HyperID is asked when there is a token (--token, or MFA_TOKEN in the environment), Capillary when
there is a --capillary-url. Nothing of this grants anything: to let somebody in, see confirm.py.

Exit status: 0 every question was answered, 2 something went wrong.
"""

from __future__ import annotations

import argparse
import os
import sys

from mfa_client import Capillary, HyperId, MfaError


def ask_hyperid(arguments: argparse.Namespace) -> None:
    # http is for a sandbox on this machine; libmfa refuses it to any other.
    with HyperId(arguments.url, allow_loopback_http=True, request_timeout=10) as client:
        available = client.availability(arguments.token).available
        print(f"authenticator app: {'linked' if available else 'not linked'}")
        types = client.two_factor_types(arguments.token)
        names = sorted(method.name for method in types.methods)
        print(f"second factors: {types.count}", *names, sep=", ")


def ask_capillary(arguments: argparse.Namespace) -> None:
    with Capillary(arguments.capillary_url, allow_loopback_http=True, request_timeout=10) as client:
        found = client.is_mfa_registered(arguments.brand, arguments.device, arguments.authorized_token)
        print(f"Capillary MFA: {found.state.name}")


def explain(name: str, error: MfaError) -> None:
    print(f"{name}: {error}", file=sys.stderr)
    print(type(error).__doc__, file=sys.stderr)
    if error.retryable:
        when = f" after {error.retry_after} s" if error.retry_after else ""
        print(f"It may succeed later{when}.", file=sys.stderr)


def main() -> int:
    parser = argparse.ArgumentParser(description="What can this person confirm with?", allow_abbrev=False)
    # Nothing that is left out or misspelt asks a real person.
    server = parser.add_mutually_exclusive_group()
    server.add_argument("--url", help="HyperID's base URL")
    server.add_argument("--production", action="store_true", help="HyperID's production")
    parser.add_argument("--token", default=os.environ.get("MFA_TOKEN"))
    parser.add_argument("--capillary-url")
    parser.add_argument("--brand", default="")
    parser.add_argument("--device", default="")
    parser.add_argument("--authorized-token", default="")
    arguments = parser.parse_args()
    if not arguments.token and not arguments.capillary_url:
        parser.error("give a --token, or MFA_TOKEN, or a --capillary-url")
    if arguments.token and not (arguments.url or arguments.production):
        parser.error("name the server with --url, or say --production")
    status = 0
    for wanted, name, ask in (
        (arguments.token, "HyperID", ask_hyperid),
        (arguments.capillary_url, "Capillary", ask_capillary),
    ):
        if wanted:
            try:
                ask(arguments)
            except MfaError as error:
                explain(name, error)
                status = 2
    return status


if __name__ == "__main__":
    sys.exit(main())
