"""What libmfa answers. None of it has a truth value, because `if answer:` would grant on a "no"."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field, fields
from typing import Any, NoReturn

from . import _abi


class NoTruthValue:
    __slots__ = ()

    def __bool__(self) -> NoReturn:
        # Not `bool`: so a type checker, too, tells who tests an answer itself.
        raise TypeError(f"{type(self).__name__} has no truth value; {self._instead()}")

    def _instead(self) -> str:
        raise NotImplementedError


class Decision(NoTruthValue, enum.Enum):
    """What a person decided. To let somebody in, test `Transaction.approved`."""

    NONE = _abi.MFA_DECISION_NONE
    """No answer has been read."""
    APPROVED = _abi.MFA_DECISION_APPROVED
    """The person approved. Test it with `Transaction.approved`."""
    DENIED = _abi.MFA_DECISION_DENIED
    """The person refused."""
    EXPIRED = _abi.MFA_DECISION_EXPIRED
    """The request expired before the person answered."""
    CANCELLED = _abi.MFA_DECISION_CANCELLED
    """The request was cancelled, or declined without an answer."""
    FAILED = _abi.MFA_DECISION_FAILED
    """The request failed (a status that the provider's documentation leaves out)."""
    PENDING = _abi.MFA_DECISION_PENDING
    """The person has not answered yet."""
    UNKNOWN = _abi.MFA_DECISION_UNKNOWN
    """The server sent a state that libmfa does not know."""

    def _instead(self) -> str:
        return "use .approved of the transaction"

    @classmethod
    def _missing_(cls, value: object) -> Decision:
        return cls.UNKNOWN


class RegistrationState(NoTruthValue, enum.Enum):
    """Whether MFA is registered."""

    NONE = _abi.MFA_REGISTRATION_NONE
    """No answer has been read."""
    REGISTERED = _abi.MFA_REGISTRATION_REGISTERED
    """MFA is registered for the user."""
    NOT_REGISTERED = _abi.MFA_REGISTRATION_NOT_REGISTERED
    """The user exists and has not registered MFA."""
    NOT_ENABLED = _abi.MFA_REGISTRATION_NOT_ENABLED
    """The brand has no MFA."""

    def _instead(self) -> str:
        return "compare it, as in state is RegistrationState.REGISTERED"

    @classmethod
    def _missing_(cls, value: object) -> RegistrationState:
        return cls.NONE


class Method(NoTruthValue, enum.Enum):
    """A second factor."""

    APP = _abi.MFA_METHOD_APP
    """The authenticator app (the server's number 0)."""
    TOTP = _abi.MFA_METHOD_TOTP
    """A one-time password from an app (1)."""
    SMS = _abi.MFA_METHOD_SMS
    """A code by SMS (2)."""
    EMAIL = _abi.MFA_METHOD_EMAIL
    """A code by e-mail (3)."""
    OTHER = _abi.MFA_METHOD_OTHER
    """One that libmfa has no name for; see `TwoFactorTypes.raw`."""

    def _instead(self) -> str:
        return "compare it, as in Method.APP in types.methods"


@dataclass(frozen=True)
class TransactionState(NoTruthValue):
    """What is known of a transaction so far: for `on_update`, and beside an exception.

    It has no `.approved`: only a call that ended well can say that somebody approved.
    """

    id: int
    """The provider's number of the transaction: save it."""
    decision: Decision
    """What the person decided, or that they have not yet."""
    raw_status: int
    """The server's `transaction_status`; -1: it sent none."""
    raw_complete_result: int
    """The server's `transaction_complete_result`; -1: it sent none. Never decide by it."""
    polls: int
    """How often the call asked for the state."""
    elapsed: float
    """Seconds since the call began."""

    def as_state(self) -> TransactionState:
        """The same without an answer's `.approved`."""
        return TransactionState(*(getattr(self, each.name) for each in fields(TransactionState)))

    def _instead(self) -> str:
        return "wait for the call's own answer and use its .approved"


@dataclass(frozen=True)
class Transaction(TransactionState):
    """The answer of a call: what the person decided, or that they have not yet."""

    approved: bool = field(init=False, default=False)
    """Whether the person approved, as libmfa itself says. The only test that should
    open a door. One that was not made from an answer of libmfa never approves."""

    def _instead(self) -> str:
        return "use .approved"


@dataclass(frozen=True)
class Availability(NoTruthValue):
    """Whether the person may be asked."""

    available: bool
    """The person has linked the authenticator app."""

    def _instead(self) -> str:
        return "use .available"


@dataclass(frozen=True)
class TwoFactorTypes(NoTruthValue):
    """The second factors that the person has set up."""

    methods: frozenset[Method]
    """Those that libmfa has names for, and `OTHER` if there are others. The names are inferred from the provider's
    tables; `raw` is what it said."""
    count: int
    """How many the server listed; may exceed what `raw` holds."""
    raw: tuple[int, ...]
    """The server's own numbers, in its order: the first 16."""

    def _instead(self) -> str:
        return "use .methods"


@dataclass(frozen=True)
class Registration(NoTruthValue):
    """Whether MFA is registered for a user."""

    state: RegistrationState
    """The answer."""
    raw_code: int
    """The server's `status.code`."""
    http_status: int
    """That of the answer."""

    def _instead(self) -> str:
        return "use .state"


def _known(raw: Any) -> tuple[int, Decision, int, int, int, float]:
    return (
        raw.transaction_id,
        Decision(raw.decision),
        raw.raw_status,
        raw.raw_complete_result,
        raw.polls,
        raw.elapsed_ms / 1000,
    )


def state_from(raw: Any) -> TransactionState:
    return TransactionState(*_known(raw))


def transaction_from(raw: Any, approved: int) -> Transaction:
    """`approved` is what libmfa said of the call's code and of what it filled in."""
    transaction = Transaction(*_known(raw))
    object.__setattr__(transaction, "approved", approved == 1)
    return transaction


def two_factor_types_from(raw: Any) -> TwoFactorTypes:
    methods = frozenset(method for method in Method if raw.methods & method.value)
    return TwoFactorTypes(methods, raw.count, tuple(raw.raw[: min(raw.count, len(raw.raw))]))


def availability_from(raw: Any) -> Availability:
    return Availability(raw.available == 1)


def registration_from(raw: Any) -> Registration:
    return Registration(RegistrationState(raw.state), raw.raw_code, raw.http_status)
