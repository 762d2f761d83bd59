"""Every exception, from a real failure."""

from __future__ import annotations

import ctypes
import pickle
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Callable

import pytest
from support import QUICK

from mfa_client import (
    CallTimeoutError,
    CancelToken,
    Capillary,
    HyperId,
    MfaError,
    Provider,
    Request,
    _abi,
    _call,
    _library,
    _values,
    exceptions,
)
from mfa_client import exceptions as ex
from mfa_client.sandbox import Person, Sandbox


class Case:
    """A sandbox, a client of it, and what else is to be closed."""

    def __init__(self, sandbox: Sandbox, client: HyperId, stack: ExitStack) -> None:
        self.sandbox = sandbox
        self.client = client
        self.stack = stack

    def available(self, behaviour: str, **options: Any) -> object:
        return self.client.availability(f"sandbox-{behaviour}", **options)

    def other(self, url: str, **options: Any) -> object:
        client = self.stack.enter_context(HyperId(url, **options))
        return client.availability("sandbox-approve", timeout=5)

    def start(self, behaviour: str, request: Request = Request("Sign in?"), **options: Any) -> int:
        return self.client.start(f"sandbox-{behaviour}", request, **options)

    def cancel_after(self, person: Person) -> None:
        started = self.start("phone")
        self.sandbox.decide(started, person)
        self.client.cancel("sandbox-phone", started)

    def listener(self, backlog: int = 5) -> int:
        listener = self.stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(backlog)
        return int(listener.getsockname()[1])

    def closed_port(self) -> int:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            return int(listener.getsockname()[1])

    def request_timeout(self) -> object:
        hasty = self.stack.enter_context(self.sandbox.hyperid(request_timeout=0.1))
        return hasty.start("sandbox-silent", "Sign in?", timeout=5)

    def through_a_server_that_is_no_proxy(self) -> object:
        proxy = f"http://127.0.0.1:{self.sandbox.url.rpartition(':')[2]}"
        return self.other("https://example.invalid", proxy_url=proxy)

    def without_its_authority(self) -> object:
        secure = self.stack.enter_context(Sandbox(tls=True, strict=True))
        return self.other(secure.url)

    def cancelled(self) -> object:
        cancel = CancelToken()
        cancel.trigger()
        return self.available("approve", cancel=cancel)

    def wrong_size(self) -> object:
        """No Python program can pass a struct of a wrong size: this goes past the client."""
        err = _values.struct(_abi.mfa_error)
        library = _library.library()
        with self.client._open() as client:
            code = library.mfa_hyperid_status(
                client, b"x", 1, None, ctypes.byref(_abi.mfa_transaction()), ctypes.byref(err)
            )
        raise _call.error_from(code, err)

    def no_token(self) -> object:
        """As no program can: None is refused before."""
        err = _values.struct(_abi.mfa_error)
        out = _values.struct(_abi.mfa_transaction)
        with self.client._open() as client:
            code = _library.library().mfa_hyperid_status(
                client, None, 1, None, ctypes.byref(out), ctypes.byref(err)
            )
        raise _call.error_from(code, err)


CASES: dict[type[MfaError], Callable[[Case], object]] = {
    ex.InvalidArgumentError: lambda case: case.client.status("sandbox-approve", -1),
    ex.NullPointerError: Case.no_token,
    ex.StructSizeError: Case.wrong_size,
    ex.InvalidUtf8Error: lambda case: case.start("approve", Request("a lone surrogate: \ud800")),
    ex.InvalidUrlError: lambda case: HyperId("https://user@example.invalid"),
    ex.InsecureUrlError: lambda case: HyperId("http://example.invalid"),
    ex.InvalidCaError: lambda case: HyperId(ca_pem="not a certificate"),
    ex.CallTimeoutError: lambda case: case.available("silent", timeout=0.1),
    ex.DnsError: lambda case: case.other("https://nobody.invalid"),
    ex.ConnectError: lambda case: case.other(f"https://127.0.0.1:{case.closed_port()}"),
    ex.ConnectTimeoutError: lambda case: case.other(f"https://127.0.0.1:{case.listener()}", connect_timeout=0.1),
    ex.TlsError: Case.without_its_authority,
    ex.ConnectionLostError: lambda case: case.start("lose-start"),
    ex.RequestTimeoutError: Case.request_timeout,
    ex.ProxyError: Case.through_a_server_that_is_no_proxy,
    ex.MalformedAnswerError: lambda case: case.available("not-json"),
    ex.AnswerTooLargeError: lambda case: case.available("deep-nesting"),
    ex.ContradictoryAnswerError: lambda case: case.client.status(
        "sandbox-wrong-id", case.client.start("sandbox-wrong-id", "Sign in?")
    ),
    ex.HttpStatusError: lambda case: case.available("html-404"),
    ex.TokenExpiredError: lambda case: case.available("token-expired"),
    ex.TokenInvalidError: lambda case: case.available("token-invalid"),
    ex.AccessDeniedError: lambda case: case.available("no-scope"),
    ex.UnavailableError: lambda case: case.start("unavailable"),
    ex.RateLimitedError: lambda case: case.start("rate-limited-7"),
    ex.ProviderInvalidParametersError: lambda case: case.start("refuse--2"),
    ex.TransactionNotFoundError: lambda case: case.client.status("sandbox-approve", 12345),
    ex.DeviceNotFoundError: lambda case: case.start("no-app"),
    ex.TemplateNotFoundError: lambda case: case.start("approve", Request(template_id=99, values_json="{}")),
    ex.AlreadyExpiredError: lambda case: case.cancel_after(Person.LETS_EXPIRE),
    ex.AlreadyCompletedError: lambda case: case.cancel_after(Person.APPROVES),
    ex.AlreadyCancelledError: lambda case: case.cancel_after(Person.DECLINES),
    ex.AuthenticatorNotLinkedError: lambda case: case.client.confirm("sandbox-no-app", "Sign in?"),
    ex.ProviderRefusedError: lambda case: case.start("refuse--99"),
    ex.Cancelled: Case.cancelled,
}

# libmfa's own defects cannot be caused from here; the others are in test_waiter, or never come to a program.
OUT_OF_REACH = {ex.InternalError, ex.BusyError, ex.ForkedError, ex.NotEndedError}


@contextmanager
def case_for(sandbox: Sandbox, client: HyperId) -> Iterator[Case]:
    with ExitStack() as stack:
        yield Case(sandbox, client, stack)


@pytest.mark.parametrize("kind", CASES, ids=lambda kind: kind.__name__)
def test_each(kind: type[MfaError], mfa_sandbox: Sandbox, client: HyperId) -> None:
    with case_for(mfa_sandbox, client) as case, pytest.raises(MfaError) as raised:
        CASES[kind](case)
    error = raised.value
    assert type(error) is kind
    assert error.code == kind.code and error.name == kind.name and error.name
    assert error.message and str(error) == f"{error.name}: {error.message}"
    assert "sandbox-" not in str(error), "a token is in the text"
    restored = pickle.loads(pickle.dumps(error))
    assert type(restored) is kind and vars(restored) == vars(error) and str(restored) == str(error)


def test_none_is_left_out() -> None:
    assert set(CASES) | OUT_OF_REACH == set(exceptions.BY_CODE.values())


def test_what_an_exception_carries(client: HyperId) -> None:
    with pytest.raises(ex.RateLimitedError) as limited:
        client.start("sandbox-rate-limited-7", "Sign in?")
    error = limited.value
    assert (error.provider, error.http_status, error.retry_after) == (Provider.HYPERID, 429, 7.0)
    assert (error.attempts, error.provider_code, error.transaction) == (1, None, None)
    with pytest.raises(ex.TokenExpiredError) as expired:
        client.availability("sandbox-token-expired")
    assert expired.value.provider_code == -4 and not expired.value.retryable
    with pytest.raises(ex.UnavailableError) as unavailable:
        client.availability("sandbox-unavailable", timeout=0.5)
    assert unavailable.value.retryable
    with pytest.raises(ex.ConnectionLostError) as lost:
        client.start("sandbox-lose-start", "Sign in?")
    assert lost.value.outcome_unknown and not lost.value.retryable


def test_the_system_s_error_number(mfa_sandbox: Sandbox, client: HyperId) -> None:
    with case_for(mfa_sandbox, client) as case, pytest.raises(ex.ConnectError) as refused:
        case.other(f"https://127.0.0.1:{case.closed_port()}")
    assert refused.value.os_error


def test_a_failed_wait_tells_the_transaction(client: HyperId) -> None:
    with pytest.raises(CallTimeoutError) as timeout:
        client.confirm("sandbox-never", "Sign in?", wait=QUICK, timeout=0.4)
    state = timeout.value.transaction
    assert state is not None and state.id > 2**32 and state.polls >= 1
    assert not hasattr(state, "approved")


def test_the_provider_of_a_capillary_call(mfa_sandbox: Sandbox) -> None:
    with mfa_sandbox.capillary() as client, pytest.raises(ex.TokenInvalidError) as raised:
        client.is_mfa_registered("demo-brand", "my-device", "sandbox-token-invalid")
    assert (raised.value.provider, raised.value.provider_code) == (Provider.CAPILLARY, 1504)
    with pytest.raises(ex.CallerError, match="base_url"):
        Capillary()


def test_a_code_of_a_newer_library() -> None:
    error = _call.error_from(199, _values.struct(_abi.mfa_error, message=b"x"))
    assert type(error) is ex.NetworkError and error.code == 199
    assert type(_call.error_from(777, _values.struct(_abi.mfa_error))) is ex.InternalError


@pytest.mark.parametrize(
    ("attempt", "says"),
    [
        (lambda c: c.availability("sandbox-approve\0+deny"), "access_token holds a NUL"),
        (lambda c: c.start("sandbox-approve", "a\0b"), "question holds a NUL"),
        (lambda c: c.status("sandbox-approve", 2**64 + 5), "transaction_id is not in"),
        (lambda c: c.start("sandbox-approve", Request("a", template_id=2**32)), "template_id is not in"),
        (lambda c: c.availability("sandbox-approve", timeout=0), "timeout must be above 0"),
        (lambda c: c.availability("sandbox-approve", timeout=-1), "timeout must be above 0"),
        (lambda c: c.availability("sandbox-approve", timeout=float("nan")), "timeout must be above 0"),
        (lambda c: c.availability("sandbox-approve", timeout=float("inf")), "timeout must be above 0"),
        (lambda c: HyperId(max_idle_connections=0), "max_idle_connections is not in"),
        (lambda c: HyperId(headers={"A": "1\nB: 2"}), "line break"),
        (lambda c: HyperId(headers={"A: x\nB": "2"}), "colon"),
    ],
)
def test_nothing_is_cut_in_silence(
    client: HyperId, mfa_sandbox: Sandbox, attempt: Callable[[HyperId], object], says: str
) -> None:
    with pytest.raises(ex.InvalidArgumentError, match=says):
        attempt(client)
    assert mfa_sandbox.request_count() == 0


def test_values_of_a_wrong_type(client: HyperId) -> None:
    with pytest.raises(TypeError, match="access_token must be text, not int"):
        client.availability(1)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="transaction_id must be an integer, not str"):
        client.status("sandbox-approve", "1")  # type: ignore[arg-type]
