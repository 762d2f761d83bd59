"""The root of the exceptions. Each code has a class of its own, in `exceptions`."""

from __future__ import annotations

import asyncio
import enum
import os
from typing import TYPE_CHECKING, Optional

from . import _abi

if TYPE_CHECKING:
    from .answers import TransactionState


_HOME = os.path.join(os.path.dirname(__file__), "")


class Provider(enum.Enum):
    """Whose call it was."""

    HYPERID = _abi.MFA_PROVIDER_HYPERID
    """A call of `HyperId`."""
    CAPILLARY = _abi.MFA_PROVIDER_CAPILLARY
    """A call of `Capillary`."""


class MfaError(Exception):
    """A call went wrong. What a person decided is never an exception; it is in the answer.

    The class says what happened and its base who must act. The text says what happened this
    time; it holds no secrets.
    """

    code: int = 0
    """libmfa's number; never reused from one release to the next."""
    name: str = ""
    """libmfa's name for it, for example "TIMEOUT"."""
    provider: Optional[Provider] = None
    """Whose call it was; None: no provider's."""
    provider_code: Optional[int] = None
    """The provider's own number, if it gave one."""
    http_status: Optional[int] = None
    """The status of the answer that failed the call, if one arrived."""
    retry_after: Optional[float] = None
    """Seconds that the server asked to wait before the next request, if it did."""
    attempts: int = 0
    """Requests that this call began."""
    os_error: Optional[int] = None
    """The system's error number (errno), where one was the cause."""
    retryable: bool = False
    """The same call may succeed later, and repeating it does no harm."""
    outcome_unknown: bool = False
    """A request that asks a person was sent, and no valid refusal came back: it may have been
    carried out. Do not repeat it blindly, or the person is asked twice."""
    withdrawn: bool = False
    """The transaction was withdrawn, as the wait's options asked, and the provider confirmed it."""
    transaction: Optional[TransactionState] = None
    """The id and what was known last, where a call failed after the id was known."""

    @property
    def message(self) -> str:
        """What happened this time."""
        return str(self.args[0]) if self.args else ""

    def __str__(self) -> str:
        return f"{self.name}: {self.message}" if self.name else self.message


def outcome_of(error: BaseException) -> Optional[MfaError]:
    """What became of the call that `error` ended: of Ctrl-C, of a cancelled task, of what a callback raised.

    Its `transaction` has the id, so that you can cancel the request; with `outcome_unknown` the person may have
    been asked, and nobody knows the id. None: no call of this package was under way.
    """
    looked_at: set[int] = set()
    one: Optional[BaseException] = error
    while one is not None and id(one) not in looked_at:
        told = getattr(one, "mfa_outcome", one)
        if isinstance(told, MfaError):
            return told
        looked_at.add(id(one))
        # Before Python 3.11 a task makes a CancelledError of its own from that of the call.
        one = one.__cause__ or (one.__context__ if isinstance(one, asyncio.CancelledError) else None)
    return None


def tell(error: BaseException, outcome: MfaError) -> None:
    """Lets whoever catches `error`, or reads its traceback, know what became of the call."""
    error.mfa_outcome = outcome  # type: ignore[attr-defined]
    if isinstance(error, asyncio.CancelledError):
        error.__cause__ = outcome
    add_note = getattr(error, "add_note", None)  # Since Python 3.11.
    if add_note is not None:
        for note in _notes(outcome):
            add_note(note)


def shortened(error: BaseException) -> BaseException:
    """Of what a callback raised, the traceback begins in the callback: the binding's own ways to it tell nobody
    anything. What came from the binding itself stays whole."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith(_HOME):
        trace = trace.tb_next
    if trace is not None:
        error.__traceback__ = trace
    return error


def _notes(outcome: MfaError) -> list[str]:
    if outcome.transaction is not None and outcome.withdrawn:
        return [f"mfa_client: the question was taken back, with transaction {outcome.transaction.id}"]
    if outcome.transaction is not None:
        return [f"mfa_client: the person was asked, with transaction {outcome.transaction.id}"]
    return ["mfa_client: the person may have been asked; the id is not known"] if outcome.outcome_unknown else []
