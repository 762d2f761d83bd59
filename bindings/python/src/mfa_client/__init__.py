"""Ask a person for a second factor, and trust the answer: libmfa for Python.

    with HyperId() as client:
        if client.confirm(access_token, "Pay 12.00?").approved:
            pay()

`exceptions` has a class for each thing that can go wrong, `sandbox` a provider for your tests.
"""

from __future__ import annotations

from . import exceptions
from ._abi import MFA_VERSION_MAJOR, MFA_VERSION_MINOR, MFA_VERSION_PATCH
from ._error import MfaError, Provider, outcome_of
from ._library import LibraryError, load, version
from .answers import (
    Availability,
    Decision,
    Method,
    Registration,
    RegistrationState,
    Transaction,
    TransactionState,
    TwoFactorTypes,
)
from .asking import (
    END_WAIT,
    AwaitedOnUpdate,
    AwaitedRefreshToken,
    EndWait,
    OnUpdate,
    RefreshToken,
    Request,
    WaitOptions,
)
from .cancel import CancelToken
from .capillary import Capillary
from .events import Event, EventKind
from .exceptions import (
    AnswerError,
    CallerError,
    CallTimeoutError,
    Cancelled,
    ClosedError,
    CredentialError,
    InternalError,
    NetworkError,
    ProviderError,
)
from .hyperid import HyperId, control_code
from .waiter import Waiter

__version__ = f"{MFA_VERSION_MAJOR}.{MFA_VERSION_MINOR}.{MFA_VERSION_PATCH}"
"""The version of this package."""

__all__ = [
    "END_WAIT",
    "AnswerError",
    "Availability",
    "AwaitedOnUpdate",
    "AwaitedRefreshToken",
    "CallTimeoutError",
    "CallerError",
    "CancelToken",
    "Cancelled",
    "Capillary",
    "ClosedError",
    "CredentialError",
    "Decision",
    "EndWait",
    "Event",
    "EventKind",
    "HyperId",
    "InternalError",
    "LibraryError",
    "Method",
    "MfaError",
    "NetworkError",
    "OnUpdate",
    "Provider",
    "ProviderError",
    "RefreshToken",
    "Registration",
    "RegistrationState",
    "Request",
    "Transaction",
    "TransactionState",
    "TwoFactorTypes",
    "WaitOptions",
    "Waiter",
    "__version__",
    "control_code",
    "exceptions",
    "load",
    "outcome_of",
    "version",
]
