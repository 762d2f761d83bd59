"""Nothing of the C interface is forgotten here. Whatever libmfa fills in makes a difference to what a
program sees, and whatever libmfa takes can be set by a program: each field of each struct, and each flag.
Each function and each constant is used. What is left out on purpose is listed, with the reason."""

from __future__ import annotations

import ctypes
import inspect
import logging
import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from typing import Any, Callable

import pytest

import mfa_client
from mfa_client import (
    CancelToken,
    Decision,
    EventKind,
    HyperId,
    Method,
    MfaError,
    Provider,
    RegistrationState,
    Request,
    WaitOptions,
    _abi,
    _call,
    _client,
    _waits,
    answers,
    asking,
    hyperid,
)
from mfa_client._values import struct
from mfa_client.sandbox import Sandbox

Values = dict[str, object]

LEFT_OUT_FIELDS = {
    "struct_size": "is set where a struct is made",
    "reserved": "is 0",
    "log_user_data": "a callback of Python's brings its own",
    "user_data": "is the key of what was given with the wait",
    "on_update_user_data": "a callback of Python's brings its own",
    "access_token_provider_user_data": "a callback of Python's brings its own",
}

LEFT_OUT_FUNCTIONS = {
    "mfa_code_message": "is what the exception's class says",
    "mfa_hyperid_new": "is called by the client's prefix",
    "mfa_hyperid_free": "is called by the client's prefix",
    "mfa_capillary_new": "is called by the client's prefix",
    "mfa_capillary_free": "is called by the client's prefix",
}

LEFT_OUT_CONSTANTS = {"MFA_PROVIDER_NONE": "is None here"}
NO_MEMBERS = {"MFA_PROVIDER_NONE", "MFA_EVENT_NONE"}


def constants(prefix: str) -> dict[str, int]:
    """Without their prefix."""
    found = {name[len(prefix) :]: value for name, value in vars(_abi).items() if name.startswith(prefix)}
    assert found, prefix
    return found


def fields_of(kind: Any) -> list[str]:
    return [name for name, *_ in kind._fields_ if name not in LEFT_OUT_FIELDS]


# What libmfa fills in: what a program sees of it.


def seen_of_error(err: Any) -> object:
    error = _call.error_from(err.code, err)
    return type(error), error.args, vars(error)


# A state has no `approved`, which would hide that the decision is missing.
SEEN: dict[Any, Callable[[Any], object]] = {
    _abi.mfa_error: seen_of_error,
    _abi.mfa_transaction: lambda raw: vars(answers.state_from(raw)),
    _abi.mfa_availability: lambda raw: vars(answers.availability_from(raw)),
    _abi.mfa_two_factor_types: lambda raw: vars(answers.two_factor_types_from(raw)),
    _abi.mfa_registration: lambda raw: vars(answers.registration_from(raw)),
}

OUTPUT_FLAGS = [
    (_abi.mfa_error, "flags", "MFA_ERROR_"),
    (_abi.mfa_two_factor_types, "methods", "MFA_METHOD_"),
]


def put(struct: Any, name: str, number: int) -> None:
    kind = dict(struct._fields_)[name]
    if not hasattr(kind, "_length_"):
        setattr(struct, name, number)
    elif kind._type_ is ctypes.c_char:
        setattr(struct, name, str(number).encode())
    else:
        setattr(struct, name, kind(number))


def filled_with_ones(kind: Any) -> Any:
    struct = kind(struct_size=ctypes.sizeof(kind))
    for name in fields_of(kind):
        put(struct, name, 1)
    return struct


@pytest.mark.parametrize(
    ("kind", "field"),
    [(kind, field) for kind in SEEN for field in fields_of(kind)],
    ids=lambda p: getattr(p, "__name__", p),
)
def test_each_field_that_libmfa_fills_in_is_seen(kind: Any, field: str) -> None:
    with_it, without_it = filled_with_ones(kind), filled_with_ones(kind)
    assert SEEN[kind](with_it) == SEEN[kind](without_it)
    put(without_it, field, 0)
    assert SEEN[kind](with_it) != SEEN[kind](without_it), f"{kind.__name__}.{field} is not seen"


@pytest.mark.parametrize(("kind", "field", "prefix"), OUTPUT_FLAGS)
def test_each_flag_that_libmfa_sets_is_seen(kind: Any, field: str, prefix: str) -> None:
    for name, bit in constants(prefix).items():
        with_it, without_it = filled_with_ones(kind), filled_with_ones(kind)
        put(with_it, field, bit)
        put(without_it, field, 0)
        assert SEEN[kind](with_it) != SEEN[kind](without_it), f"{prefix}{name} is not seen"


def test_an_answer_tells_what_a_state_tells() -> None:
    raw = filled_with_ones(_abi.mfa_transaction)
    answer = vars(hyperid._transaction(_abi.MFA_OK, raw))
    assert answer == {**vars(answers.state_from(raw)), "approved": True}


EVENT = {"kind": _abi.MFA_EVENT_TOKEN_REFUSED, "ticket": 2, "code": _abi.MFA_ERR_DNS}


def event_with(**changes: int) -> object:
    raw = struct(_abi.mfa_event)
    for name, value in {"kind": _abi.MFA_EVENT_ENDED, "ticket": 1, "code": _abi.MFA_ERR_TLS, **changes}.items():
        setattr(raw, name, value)
    event = _waits.event_from(raw, struct(_abi.mfa_transaction), struct(_abi.mfa_error), None)
    return {**vars(event), "error": event.error and vars(event.error)}


def test_each_field_of_an_event_is_seen() -> None:
    assert set(EVENT) == set(fields_of(_abi.mfa_event))
    assert event_with() == event_with()
    for name, other in EVENT.items():
        assert event_with() != event_with(**{name: other}), f"mfa_event.{name} is not seen"


# What libmfa takes: what a program can set.


def values(struct: Any) -> Values:
    """Of a callback, whether there is one."""
    found = {name: getattr(struct, name) for name in fields_of(type(struct))}
    return {name: bool(value) if callable(value) else value for name, value in found.items()}


class Given:
    """What calls give to libmfa, in structs of one kind, on their way there."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, kind: Any) -> None:
        self.kind = kind
        self.seen: list[Values] = []
        for module in (_call, _client, _waits):
            monkeypatch.setattr(module, "native", self.look)

    def look(self, function: Any, *arguments: Any, native: Any = _call.native, **beside: Any) -> int:
        structs = [getattr(argument, "_obj", None) for argument in arguments]
        self.seen += [values(struct) for struct in structs if isinstance(struct, self.kind)]
        code: int = native(function, *arguments, **beside)
        return code

    def by(self, call: Callable[..., object], options: dict[str, Any]) -> Values:
        with suppress(MfaError):  # Not each is allowed alone.
            call(**options)
        return self.seen.pop()


def made(kind: Any) -> Callable[[dict[str, Any]], Values]:
    return lambda options: values(kind(**options)._native())


def expect_all(
    kind: Any, prefix: str, given: Callable[[dict[str, Any]], Values], samples: dict[str, Any]
) -> None:
    """With one option after the other, each field of the struct differs from its default once."""
    default = given({})
    changed: set[str] = set()
    bits = 0
    for name, value in samples.items():
        found = given({name: value})
        differs = {field for field in found if found[field] != default[field]}
        assert differs, f"{name} changes nothing"
        changed |= differs
        bits |= int(str(found.get("flags", 0)))
    settable = set(fields_of(kind)) - (set() if prefix else {"flags"})  # Of which there are none, then.
    assert changed == settable, f"of {kind.__name__}, no program can set these"
    if prefix:
        known = constants(prefix)
        assert bits == sum(known.values()), f"of {sorted(known)}, no program can set all"


def parameters(call: Any) -> Iterable[str]:
    return list(inspect.signature(call).parameters)


REQUEST = {
    "question": "?",
    "code": "12",
    "any_code": True,
    "template_id": 1,
    "values_json": "{}",
    "device_id": "d",
    "device_desc": "d",
    "ip": "127.0.0.1",
}

WAIT = {
    "on_update": print,
    "refresh_access_token": str,
    "cancel_on_timeout": True,
    "withdraw_on_cancel": True,
    "first_poll": 1,
    "min_interval": 1,
    "max_interval": 1,
}

CLIENT = {
    "base_url": "https://example.invalid",
    "allow_loopback_http": True,
    "ca_pem": "x",
    "proxy_url": "http://127.0.0.1:1",
    "proxy_from_env": True,
    "client_cert_pem": "x",
    "client_key_pem": "x",
    "headers": {"a": "b"},
    "user_agent": "x",
    "request_timeout": 1,
    "connect_timeout": 1,
    "max_idle_connections": 1,
    "log": logging.getLogger("mfa").log,
}


def test_each_field_of_a_request_can_be_set() -> None:
    assert set(REQUEST) == {field.name for field in fields(Request)}
    expect_all(_abi.mfa_request, "MFA_REQUEST_", made(Request), REQUEST)


def test_each_field_of_wait_options_can_be_set() -> None:
    callbacks = {"on_update", "refresh_access_token"}  # They are the call's own.
    assert set(WAIT) == {field.name for field in fields(WaitOptions)} | callbacks

    def given(options: dict[str, Any]) -> Values:
        own = {name: options.pop(name, None) for name in callbacks}
        waiting = asking.Waiting(WaitOptions(**options), **own)
        return {**values(waiting.with_callbacks()._obj), "flags": waiting.with_events()._obj.flags}

    expect_all(_abi.mfa_wait_options, "MFA_WAIT_", given, WAIT)


def test_each_field_of_waiter_options_can_be_set(monkeypatch: pytest.MonkeyPatch, client: HyperId) -> None:
    given = Given(monkeypatch, _abi.mfa_waiter_options)
    samples = {"max_connections": 1, "max_requests_per_second": 1}
    assert {"self", *samples} == set(parameters(HyperId.waiter))
    expect_all(_abi.mfa_waiter_options, "", lambda options: given.by(client.waiter, options), samples)


def test_each_field_of_client_options_can_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    # `log_level` counts with a `log` alone, which has a level of its own by default.
    assert set(CLIENT) | {"log_level"} == set(parameters(HyperId))
    given = Given(monkeypatch, _abi.mfa_client_options)
    expect_all(_abi.mfa_client_options, "MFA_CLIENT_", lambda options: given.by(HyperId, options), CLIENT)


def test_each_field_of_call_options_can_be_set(
    monkeypatch: pytest.MonkeyPatch, mfa_sandbox: Sandbox, client: HyperId
) -> None:
    given = Given(monkeypatch, _abi.mfa_call_options)
    expect_all(
        _abi.mfa_call_options,
        "",
        lambda options: given.by(client.availability, {"access_token": "sandbox-approve", **options}),
        {"timeout": 5, "cancel": CancelToken()},
    )


INPUTS = [
    _abi.mfa_request,
    _abi.mfa_wait_options,
    _abi.mfa_client_options,
    _abi.mfa_call_options,
    _abi.mfa_waiter_options,
]


def test_no_struct_is_forgotten_above() -> None:
    assert set(_abi.STRUCTS.values()) == {*SEEN, _abi.mfa_event, *INPUTS}


# Names.


@pytest.mark.parametrize(
    ("prefix", "kind"),
    [
        ("MFA_DECISION_", Decision),
        ("MFA_REGISTRATION_", RegistrationState),
        ("MFA_METHOD_", Method),
        ("MFA_PROVIDER_", Provider),
        ("MFA_EVENT_", EventKind),
    ],
)
def test_enumerations(prefix: str, kind: Any) -> None:
    known = {name: value for name, value in constants(prefix).items() if prefix + name not in NO_MEMBERS}
    assert known == {member.name: member.value for member in kind}


def source() -> str:
    folder = Path(mfa_client.__file__).parent
    files = [file for file in folder.glob("*.py") if file.name != "_abi.py"]
    return "\n".join(file.read_text(encoding="utf-8") for file in files)


def expect_used(wanted: set[str], pattern: str, left_out: dict[str, str]) -> None:
    used = set(re.findall(pattern, source()))
    assert wanted - used == set(left_out), "not used, and said to be left out"


def test_each_function_is_used() -> None:
    expect_used(set(_abi.FUNCTIONS), r"\bmfa_\w+", LEFT_OUT_FUNCTIONS)


def test_each_constant_is_used() -> None:
    # The codes are in `exceptions`: see test_abi.
    wanted = {name for name in vars(_abi) if re.match("MFA_(?!ERR_)", name)}
    expect_used(wanted, r"\bMFA_\w+", LEFT_OUT_CONSTANTS)
