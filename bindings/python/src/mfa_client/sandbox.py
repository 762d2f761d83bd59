"""A local server that plays HyperID and Capillary, so that you test your program without a network.

    with Sandbox() as sandbox, sandbox.hyperid() as client:
        assert client.confirm("sandbox-approve", "Sign in?").approved

The token chooses what happens: `sandbox-deny`, `sandbox-phone` (decided on `phone_url`, or by
`decide`), `sandbox-token-expired`, `sandbox-silent`... `behaviours()` lists them all. For pytest
there is a fixture, `mfa_sandbox`, and `python -m mfa_client.sandbox` is one that stays, with the phone page. Not for production, and nothing in production loads it.
"""

from __future__ import annotations

import ctypes as c
import enum
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Callable, Optional

from ._error import MfaError
from ._handle import Handle, Owner
from ._library import Loader, PathLike, check_sizes
from ._values import boolean, instance, integer, milliseconds, struct, text
from .capillary import Capillary
from .hyperid import HyperId


class SandboxError(MfaError):
    """The sandbox was used wrongly, or could not start."""

    name = "SANDBOX"


class Person(enum.Enum):
    """What the person does with a request."""

    APPROVES = 1
    """Presses "Approve"."""
    DENIES = 2
    """Presses "Deny"."""
    DECLINES = 3
    """Ends the request without an answer: `Decision.CANCELLED`."""
    FAILS = 4
    """Nothing; the request fails: `Decision.FAILED`."""
    LETS_EXPIRE = 5
    """Nothing, until the request expires."""


_TLS, _LAN, _CAPILLARY_HTTP_STATUS, _STRICT, _LOG = 1, 2, 4, 8, 16
_NO_APP, _NOT_REGISTERED = 1, 2
_NOT_FOUND = 2
_KEPT = 1000
"""So many requests are kept."""


class _Options(c.Structure):
    _fields_ = [
        ("struct_size", c.c_uint32),
        ("flags", c.c_uint32),
        ("port", c.c_uint32),
        ("life_ms", c.c_uint32),
        ("idle_timeout_ms", c.c_uint32),
        ("reserved", c.c_uint32),
        ("first_id", c.c_int64),
        ("any_token", c.c_char_p),
        ("allow_origins", c.c_char_p),
        ("control_key", c.c_char_p),
    ]


class _User(c.Structure):
    _fields_ = [
        ("struct_size", c.c_uint32),
        ("flags", c.c_uint32),
        ("methods", c.c_char_p),
        ("devices", c.c_char_p),
        ("behaviour", c.c_char_p),
    ]


# The last members, as in SandboxTransaction.
_TEXTS = {
    "user": 128,
    "question": 1024,
    "values": 2048,
    "code": 64,
    "device_id": 128,
    "device_desc": 256,
    "ip": 64,
}


class _Info(c.Structure):
    _fields_ = [
        ("struct_size", c.c_uint32),
        ("status", c.c_int32),
        ("id", c.c_int64),
        ("complete_result", c.c_int32),
        ("template_id", c.c_int32),
        ("remaining_ms", c.c_uint32),
        ("polls", c.c_uint32),
        *((name, c.c_char * size) for name, size in _TEXTS.items()),
    ]


_STRUCTS = {
    "mfa_sandbox_options": _Options,
    "mfa_sandbox_transaction_info": _Info,
    "mfa_sandbox_user": _User,
}

_FUNCTIONS: dict[str, tuple[Any, list[Any]]] = {
    "mfa_sandbox_new": (c.c_void_p, [c.c_void_p]),
    "mfa_sandbox_new_why": (c.c_void_p, [c.c_void_p, c.c_char_p, c.c_uint32]),
    "mfa_sandbox_free": (None, [c.c_void_p]),
    "mfa_sandbox_version": (c.c_char_p, []),
    "mfa_sandbox_behaviours": (c.c_char_p, []),
    "mfa_sandbox_struct_size": (c.c_uint32, [c.c_char_p]),
    "mfa_sandbox_hyperid_url": (c.c_char_p, [c.c_void_p]),
    "mfa_sandbox_capillary_url": (c.c_char_p, [c.c_void_p]),
    "mfa_sandbox_phone_url": (c.c_char_p, [c.c_void_p]),
    "mfa_sandbox_ca_pem": (c.c_char_p, [c.c_void_p]),
    "mfa_sandbox_control_url": (c.c_char_p, [c.c_void_p]),
    "mfa_sandbox_control_key": (c.c_char_p, [c.c_void_p]),
    "mfa_sandbox_reset": (c.c_int32, [c.c_void_p, c.c_int64]),
    "mfa_sandbox_check_behaviour": (c.c_int32, [c.c_char_p, c.c_char_p, c.c_uint32]),
    "mfa_sandbox_add_user": (c.c_int32, [c.c_void_p, c.c_char_p, c.c_void_p]),
    "mfa_sandbox_issue_token": (
        c.c_int32,
        [c.c_void_p, c.c_char_p, c.c_char_p, c.c_char_p, c.c_uint32],
    ),
    "mfa_sandbox_issue_jwt": (
        c.c_int32,
        [c.c_void_p, c.c_char_p, c.c_char_p, c.c_uint32, c.c_char_p, c.c_uint32],
    ),
    "mfa_sandbox_add_token": (c.c_int32, [c.c_void_p, c.c_char_p, c.c_char_p]),
    "mfa_sandbox_expire_token": (c.c_int32, [c.c_void_p, c.c_char_p]),
    "mfa_sandbox_revoke_token": (c.c_int32, [c.c_void_p, c.c_char_p]),
    "mfa_sandbox_add_brand": (c.c_int32, [c.c_void_p, c.c_char_p, c.c_int32]),
    "mfa_sandbox_decide": (c.c_int32, [c.c_void_p, c.c_int64, c.c_int32]),
    "mfa_sandbox_wait_for_transaction": (c.c_int64, [c.c_void_p, c.c_uint32]),
    "mfa_sandbox_transaction": (c.c_int32, [c.c_void_p, c.c_int64, c.c_void_p]),
    "mfa_sandbox_transactions": (c.c_uint64, [c.c_void_p, c.c_void_p, c.c_uint32]),
    "mfa_sandbox_set_first_id": (c.c_int32, [c.c_void_p, c.c_int64]),
    "mfa_sandbox_push_count": (c.c_uint64, [c.c_void_p]),
    "mfa_sandbox_request_count": (c.c_uint64, [c.c_void_p, c.c_char_p]),
    "mfa_sandbox_wait_for_requests": (c.c_int32, [c.c_void_p, c.c_char_p, c.c_uint64, c.c_uint32]),
    "mfa_sandbox_connection_count": (c.c_uint64, [c.c_void_p]),
    "mfa_sandbox_open_connections": (c.c_uint64, [c.c_void_p]),
    "mfa_sandbox_request": (c.c_int32, [c.c_void_p, c.c_uint64, c.c_char_p, c.c_uint32]),
    "mfa_sandbox_clear_requests": (None, [c.c_void_p]),
    "mfa_sandbox_last_request": (c.c_int32, [c.c_void_p, c.c_char_p, c.c_char_p, c.c_uint32]),
}

_library = Loader(
    "mfa_sandbox",
    _FUNCTIONS,
    lambda library, file: check_sizes(library, file, "mfa_sandbox_struct_size", _STRUCTS),
)


def load(path: PathLike) -> None:
    """Uses the sandbox's library in this file in place of the packaged one."""
    _library.load(path)


def behaviours() -> str:
    """Every behaviour that a token can name, one a line."""
    return str(_library().mfa_sandbox_behaviours().decode())


@dataclass(frozen=True)
class SandboxTransaction:
    """A transaction as the server has it. A text that was not sent is empty."""

    id: int
    """Its number."""
    status: int
    """0 pending, 1 completed, 2 expired, 3 failed, 4 cancelled or declined."""
    complete_result: int
    """0 approved, 1 denied; 0 while it is pending, too."""
    template_id: int
    """Which screen the app shows; 4: the question."""
    remaining: float
    """Seconds that it still lives."""
    polls: int
    """How often its state was asked for."""
    user: str
    """The person who was asked."""
    question: str
    """The text of template 4."""
    values: str
    """The parameters, as they were sent."""
    code: str
    """The control code."""
    device_id: str
    """The device that the person acts from."""
    device_desc: str
    """What that device is called."""
    ip: str
    """That device's address."""


@dataclass(frozen=True)
class SandboxRequest:
    """A provider request as it arrived."""

    method: str
    """As in "POST"."""
    target: str
    """The path, and a query if there was one."""
    headers: list[tuple[str, str]]
    """Names and values as sent, in their order; the token is among them."""
    body: bytes
    """What came behind the headers."""

    def header(self, name: str) -> Optional[str]:
        """The first value of a header, its name in any case."""
        found = (value for known, value in self.headers if known.lower() == name.lower())
        return next(found, None)


class Sandbox(Owner):
    """A running sandbox. Any number of threads may use it at once."""

    def __init__(
        self,
        *,
        port: int = 0,
        tls: bool = False,
        lan: bool = False,
        capillary_http_status: bool = False,
        strict: bool = False,
        first_id: Optional[int] = None,
        life: Optional[float] = None,
        idle_timeout: Optional[float] = None,
        any_token: Optional[str] = None,
        allow_origins: Iterable[str] = (),
        control_key: Optional[str] = None,
        log: bool = False,
    ) -> None:
        """
        port: 0 is any free one.
        tls: https with an authority of its own; see `ca_pem`.
        lan: every interface, to use a real phone; the phone page's address then holds a secret.
        capillary_http_status: Capillary's codes under the HTTP status as well.
        strict: refuses what HyperID's own clients send beside its documentation. Otherwise that is
        taken, and the answer's header `Sandbox-Unusual` says what it was.
        first_id: the first transaction's id. None: one that 32 bits cannot hold.
        life: seconds that a request waits for the person. idle_timeout: seconds.
        any_token: any token that nobody has issued is this person's, who is asked on the page; one
        shaped as a JWT is that of the person whom its `sub` names, and good until its `exp`.
        allow_origins: the web pages that may call the providers' paths (CORS), as in
        "http://localhost:3000"; never the phone page.
        control_key: the key of the interface for tests over HTTP, at least 16 characters. None:
        another one in every run.
        log: a line on the standard error for each request.
        """
        lib = _library()
        options = struct(
            _Options,
            flags=_TLS * boolean("tls", tls)
            | _LAN * boolean("lan", lan)
            | _CAPILLARY_HTTP_STATUS * boolean("capillary_http_status", capillary_http_status)
            | _STRICT * boolean("strict", strict)
            | _LOG * boolean("log", log),
            first_id=0 if first_id is None else integer("first_id", first_id, 64, 1),
            port=integer("port", port, 17, 0),
            life_ms=milliseconds("life", life),
            idle_timeout_ms=milliseconds("idle_timeout", idle_timeout),
            any_token=text("any_token", any_token),
            allow_origins=text("allow_origins", _joined("allow_origins", allow_origins)),
            control_key=text("control_key", control_key),
        )
        why = c.create_string_buffer(512)
        pointer = lib.mfa_sandbox_new_why(c.byref(options), why, len(why))
        if not pointer:
            raise SandboxError(f"the sandbox did not start: {why.value.decode(errors='replace')}")
        self._handle = Handle(pointer, lib.mfa_sandbox_free, type(self).__name__)
        self.url: str = lib.mfa_sandbox_hyperid_url(pointer).decode()
        """The base URL for HyperID's calls."""
        self.capillary_url: str = lib.mfa_sandbox_capillary_url(pointer).decode()
        """The base URL for Capillary's call."""
        self.phone_url: str = lib.mfa_sandbox_phone_url(pointer).decode()
        """A web page that plays the person's phone."""
        self.control_url: str = lib.mfa_sandbox_control_url(pointer).decode()
        """The interface for tests in other languages, over HTTP."""
        self.control_key: str = lib.mfa_sandbox_control_key(pointer).decode()
        """Its key in this run, for the header `Sandbox-Key`."""
        ca_pem = lib.mfa_sandbox_ca_pem(pointer)
        self.ca_pem: Optional[str] = ca_pem.decode() if ca_pem else None
        """With `tls`, the certificate of this run's authority."""

    def __repr__(self) -> str:
        return f"<Sandbox {'closed' if self._handle is None or self._handle.closed else f'open, {self.url}'}>"

    def hyperid(self, **options: Any) -> HyperId:
        """A client for this sandbox; `options` are those of `HyperId`."""
        return HyperId(self.url, **self._reachable(options))

    def capillary(self, **options: Any) -> Capillary:
        """A client for this sandbox; `options` are those of `Capillary`."""
        return Capillary(self.capillary_url, **self._reachable(options))

    def _reachable(self, options: dict[str, Any]) -> dict[str, Any]:
        return {"allow_loopback_http": True, "ca_pem": self.ca_pem, **options}

    def add_token(self, token: str, behaviour: str) -> None:
        """Makes any text a token; `behaviour` is what would follow "sandbox-", as in "deny"."""
        _check_behaviour(behaviour)
        self._do("add_token", text("token", token), text("behaviour", behaviour))

    def add_user(
        self,
        name: str,
        *,
        app_linked: bool = True,
        methods: Optional[Iterable[int]] = None,
        devices: Iterable[str] = (),
        registered: bool = True,
        behaviour: str = "",
    ) -> None:
        """Adds a person, or replaces one.

        app_linked: has linked the authenticator app.
        methods: HyperID's second factors. None: 0 and 3.
        devices: the registered ones; none: any device is known.
        registered: MFA is registered at Capillary.
        behaviour: as behind "sandbox-". Without a decision in it the person is asked on the page.
        """
        _check_behaviour(behaviour or "phone")
        numbers = None if methods is None else [str(integer("methods", method, 64)) for method in methods]
        user = struct(
            _User,
            flags=_NO_APP * (not app_linked) | _NOT_REGISTERED * (not registered),
            methods=None if numbers is None else text("methods", ",".join(numbers) or "none"),
            devices=text("devices", "\n".join(devices)) or None,
            behaviour=text("behaviour", behaviour) or None,
        )
        self._do("add_user", text("name", name), c.byref(user))

    def issue_token(
        self,
        token: str,
        user: str,
        *,
        scopes: Optional[Iterable[str]] = None,
        lives: Optional[float] = None,
    ) -> None:
        """Issues a token, which may be any text, to a person, who is added if not known.

        scopes: None: "mfa-client" and "second-factor-auth-client".
        lives: seconds that it is good; None: until it is revoked or expired.
        """
        access = text("scopes", _joined("scopes", scopes)), milliseconds("lives", lives)
        self._do("issue_token", text("token", token), text("user", user), *access)

    def issue_jwt(
        self, user: str, *, scopes: Optional[Iterable[str]] = None, lives: Optional[float] = None
    ) -> str:
        """Makes a token shaped as the providers' (three parts, HS256), and issues it to a person."""
        access = text("scopes", _joined("scopes", scopes)), milliseconds("lives", lives)
        name = text("user", user)
        # Each call makes another one, so that the first must fit.
        size = 4096 + 4 * (len(name or b"") + len(access[0] or b""))
        made = self._text("issue_jwt", name, *access, size=size)
        if made is None:
            raise SandboxError("issue_jwt: an argument is not allowed")
        return made.decode()

    def expire_token(self, token: str) -> None:
        """From now on the token is expired."""
        self._do("expire_token", text("token", token))

    def revoke_token(self, token: str) -> None:
        """From now on the token is invalid."""
        self._do("revoke_token", text("token", token))

    def add_brand(self, brand: str, has_mfa: bool) -> None:
        """Adds a Capillary brand, with MFA or without (`RegistrationState.NOT_ENABLED`), or replaces one."""
        self._do("add_brand", text("brand", brand), int(boolean("has_mfa", has_mfa)))

    def decide(self, transaction_id: int, person: Person) -> None:
        """Ends a pending transaction as the person would."""
        self._do("decide", integer("transaction_id", transaction_id, 64), instance("person", person, Person, "a Person").value)

    def wait_for_transaction(self, timeout: float = 5.0) -> Optional[int]:
        """The id of the newest pending transaction that was not returned before; None: none in time."""
        milli = milliseconds("timeout", timeout)
        return int(self._call("wait_for_transaction", milli)) or None

    def transaction(self, transaction_id: int) -> Optional[SandboxTransaction]:
        """A transaction as it is now; None: there is none."""
        info = struct(_Info)
        number = integer("transaction_id", transaction_id, 64)
        result = self._call("transaction", number, c.byref(info))
        if result == _NOT_FOUND:
            return None
        _expect_success("transaction", result)
        return SandboxTransaction(
            info.id,
            info.status,
            info.complete_result,
            info.template_id,
            info.remaining_ms / 1000,
            info.polls,
            *(getattr(info, name).decode() for name in _TEXTS),
        )

    def transactions(self) -> list[SandboxTransaction]:
        """All transactions, the oldest first."""
        ids = (c.c_int64 * 0)()
        while True:
            count = int(self._call("transactions", ids, len(ids)))
            if count <= len(ids):
                found = [self.transaction(number) for number in ids[:count]]
                return [one for one in found if one is not None]
            ids = (c.c_int64 * count)()

    def set_first_id(self, first_id: int) -> None:
        """The next transaction gets this id. Refused if one has it, or a larger one: `reset` first."""
        self._do("set_first_id", integer("first_id", first_id, 64, 1))

    def reset(self, first_id: Optional[int] = None) -> None:
        """Forgets everything, as if it were started anew: people, tokens, brands, transactions, requests.

        The ids go on, or begin at `first_id`; a client that has seen an id before does not take it for a
        new one. Connections, addresses and the key stay.
        """
        self._do("reset", 0 if first_id is None else integer("first_id", first_id, 64, 1))

    def push_count(self) -> int:
        """How many pushes went to phones: one for each transaction ever started."""
        return int(self._call("push_count"))

    def request_count(self, path: Optional[str] = None) -> int:
        """How many provider requests have arrived on a path, or on any."""
        return int(self._call("request_count", text("path", path)))

    def wait_for_requests(self, count: int, path: Optional[str] = None, timeout: float = 5.0) -> bool:
        """Waits until so many have arrived; False: not in time."""
        number, milli = integer("count", count, 64, 0), milliseconds("timeout", timeout)
        return bool(self._call("wait_for_requests", text("path", path), number, milli))

    def connection_count(self) -> int:
        """How many connections were ever accepted."""
        return int(self._call("connection_count"))

    def open_connections(self) -> int:
        """How many connections are open now."""
        return int(self._call("open_connections"))

    def last_request(self, path: Optional[str] = None) -> Optional[str]:
        """The last provider request as text: request line, headers, an empty line, the body."""
        found = self._text("last_request", text("path", path))
        return None if found is None else found.decode(errors="replace")

    def requests(self, path: Optional[str] = None) -> list[SandboxRequest]:
        """The last provider requests on a path, or on any, the oldest first; at most 1,000 are kept."""
        count = self.request_count()
        texts = (self._text("request", number) for number in range(max(1, count - _KEPT + 1), count + 1))
        arrived = [_request(found) for found in texts if found is not None]
        return [one for one in arrived if path is None or one.target.partition("?")[0] == path]

    def clear_requests(self) -> None:
        """Empties the log of requests; the counters go on."""
        self._call("clear_requests")

    def close(self) -> None:
        """Stops the server, once the calls that still run have ended. Again does nothing."""
        self._close()

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _call(self, function: str, *arguments: object) -> Any:
        with self._open() as pointer:
            return getattr(_library(), f"mfa_sandbox_{function}")(pointer, *arguments)

    def _text(self, function: str, *arguments: object, size: int = 2048) -> Optional[bytes]:
        """What a function writes into a buffer, whole; None: there is none."""
        while True:
            buffer = c.create_string_buffer(size)
            length = self._call(function, *arguments, buffer, size)
            if length < size:
                return None if length < 0 else buffer.raw[:length]
            size = length + 1

    def _do(self, function: str, *arguments: object) -> None:
        _expect_success(function, self._call(function, *arguments))


def _joined(name: str, texts: Optional[Iterable[str]]) -> Optional[str]:
    if isinstance(texts, (str, bytes)):
        raise TypeError(f"{name} must be a list of texts, not one text")
    return None if texts is None else " ".join(texts)


def _check_behaviour(behaviour: str) -> None:
    why = c.create_string_buffer(512)
    check: Callable[..., int] = _library().mfa_sandbox_check_behaviour
    if check(text("behaviour", behaviour), why, len(why)) != 0:
        raise SandboxError(f"behaviour: {why.value.decode(errors='replace')}")


def _request(found: bytes) -> SandboxRequest:
    head, _, body = found.partition(b"\r\n\r\n")
    first, *lines = head.decode(errors="replace").split("\r\n")
    method, target, _ = first.split(" ", 2)
    headers = [(name, value) for name, _, value in (line.partition(": ") for line in lines)]
    return SandboxRequest(method, target, headers, body)


def _expect_success(function: str, result: int) -> None:
    reasons = {
        1: "an argument is not allowed",
        2: "there is no such transaction or token",
        3: "the transaction has ended already",
    }
    if result != 0:
        raise SandboxError(f"{function}: {reasons.get(result, 'the sandbox itself failed')}")


if __name__ == "__main__":
    from mfa_client._sandbox_program import main

    raise SystemExit(main())
