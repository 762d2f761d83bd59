"""What becomes of one of many waits."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Optional

from . import _abi
from ._error import MfaError
from .answers import NoTruthValue, Transaction, TransactionState


class EventKind(enum.Enum):
    """What happened to a wait."""

    STARTED = _abi.MFA_EVENT_STARTED
    """The person has been asked, and the id is known: save it."""
    UPDATE = _abi.MFA_EVENT_UPDATE
    """The state was asked for."""
    TOKEN_REFUSED = _abi.MFA_EVENT_TOKEN_REFUSED
    """The token was refused; the wait stands still until it is given another."""
    ENDED = _abi.MFA_EVENT_ENDED
    """The last one."""


@dataclass(frozen=True)
class Event(NoTruthValue):
    """Something that a program should know of one of its waits."""

    kind: EventKind
    """What happened."""
    ticket: int
    """Which wait, as `Waiter.confirm` and `Waiter.wait` returned it."""
    data: object
    """What was given with the wait."""
    transaction: Optional[TransactionState]
    """What is known; None: not even the id."""
    error: Optional[MfaError]
    """Why the wait failed, or the token was refused."""

    def result(self) -> Transaction:
        """Of one that ENDED: what `HyperId.confirm` would have returned or raised."""
        if self.kind is not EventKind.ENDED:
            raise TypeError(f"a wait has not ended with {self.kind.name}")
        if self.error is not None:
            raise self.error
        assert isinstance(self.transaction, Transaction)
        return self.transaction

    def _instead(self) -> str:
        return "use .result().approved of one that ENDED"
