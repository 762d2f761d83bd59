"""What the binding says: Python's own names, nothing of C, and a sentence for each value of a wrong kind."""

from __future__ import annotations

import asyncio
import datetime
import inspect
import logging
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable

import pytest
from support import QUICK, TREE, outcome

import mfa_client
from mfa_client import (
    CancelToken,
    Capillary,
    ClosedError,
    HyperId,
    MfaError,
    Request,
    WaitOptions,
    _abi,
    _names,
    exceptions,
    sandbox,
)
from mfa_client.sandbox import Sandbox

OF_C = re.compile(
    r"MFA_[A-Z]|\bmfa_(?!client\b|sandbox\b|sandbox_options\b|outcome\b)\w+|NULL(?!_POINTER)|\bout struct|struct_size|\w+_ms\b|`out`|_INIT\b|\bstructs?\b"
)


def public() -> Iterator[tuple[str, object]]:
    for module in mfa_client, exceptions, sandbox:
        for name in getattr(module, "__all__", None) or vars(module):
            one = getattr(module, name)
            home = getattr(one, "__module__", "")
            if name.startswith("_") or not home.startswith("mfa_client") or (module is sandbox and home != module.__name__):
                continue
            yield name, one
            if inspect.isclass(one):
                yield from ((f"{name}.{each}", value) for each, value in vars(one).items() if not each.startswith("_"))


def test_no_doc_string_speaks_c() -> None:
    texts = {name: inspect.getdoc(one) or "" for name, one in public()}
    assert len(texts) > 100
    assert {name: text for name, text in texts.items() if OF_C.search(text)} == {}


def test_neither_do_the_texts_beside_the_fields() -> None:
    """Those that editors show, which are in the source alone."""
    folder = Path(mfa_client.__file__).parent
    for file in "_error.py", "answers.py", "asking.py", "events.py", "sandbox.py", "hyperid.py", "waiter.py", "cancel.py":
        for text in re.findall(r'"""(.*?)"""', (folder / file).read_text(encoding="utf-8"), re.S):
            assert not OF_C.search(text), f"{file}: {text}"


def test_neither_does_the_readme() -> None:
    readme = (TREE / "bindings" / "python" / "README.md").read_text(encoding="utf-8")
    text = re.sub(r"```.*?```", "", readme.partition("## The wheel")[0], flags=re.S)
    assert not [line for line in text.splitlines() if OF_C.search(line)]


REFUSED: list[tuple[Callable[[HyperId], object], str]] = [
    (lambda c: HyperId("http://127.0.0.1:1"), "http to this machine needs allow_loopback_http"),
    (lambda c: HyperId(ca_pem="x"), "ca_pem"),
    (lambda c: HyperId(client_cert_pem="x"), "client_cert_pem and client_key_pem go together"),
    (lambda c: HyperId(user_agent="x" * 1000), "user_agent"),
    (lambda c: HyperId(proxy_url="ftp://x"), "proxy_url is refused"),
    (lambda c: Capillary(), "base_url is required"),
    (lambda c: c.availability(""), "access_token is empty"),
    (lambda c: c.availability("Bearer abc"), 'access_token begins with "Bearer "'),
    (lambda c: c.start("t", Request("?", code="abc")), "any_code allows any text"),
    (lambda c: c.start("t", Request("?", values_json="{}")), "question and values_json exclude each other"),
    (lambda c: c.start("t", Request(template_id=9, question="?")), "use values_json for another"),
    (lambda c: c.start("t", Request()), "question is required"),
    (lambda c: c.status("t", 0), "transaction_id 0 is not above 0"),
    (lambda c: c.wait("t", 1, wait=WaitOptions(min_interval=2, max_interval=1)), "max_interval is below min_interval"),
]


@pytest.mark.parametrize(("attempt", "says"), REFUSED)
def test_the_library_s_messages_have_python_s_names(
    client: HyperId, attempt: Callable[[HyperId], object], says: str
) -> None:
    with pytest.raises(exceptions.CallerError) as raised:
        attempt(client)
    assert says in raised.value.message
    assert not OF_C.search(str(raised.value)) and "`" not in str(raised.value)


def test_so_does_the_log(mfa_sandbox: Sandbox) -> None:
    lines: list[str] = []
    with mfa_sandbox.hyperid(log=lambda level, line: lines.append(line), log_level=logging.DEBUG) as client:
        client.confirm("sandbox-approve", "?", wait=QUICK)
        with pytest.raises(MfaError):
            client.availability("sandbox-token-invalid")
    assert lines and not [line for line in lines if OF_C.search(line) or "`" in line]


def test_every_name_of_the_table_is_one_of_python_s() -> None:
    """What is no parameter, field or attribute here would lead nowhere."""
    known = {
        name
        for one in (HyperId, HyperId.confirm, HyperId.wait, HyperId.availability, Capillary.is_mfa_registered)
        for name in inspect.signature(one).parameters
    }
    known |= set(inspect.signature(Request).parameters) | set(inspect.signature(WaitOptions).parameters)
    known |= set(vars(MfaError)) | {"None", "CancelToken", "the exception's transaction"}
    assert set(_names.NAMES.values()) <= known


def test_names_of_exceptions() -> None:
    raised = list(exceptions.BY_CODE.values())
    assert {kind.__name__ for kind in raised} <= set(exceptions.__all__)
    own: list[type[MfaError]] = [ClosedError, sandbox.SandboxError]
    for kind in raised + own:
        assert re.fullmatch("[A-Z][A-Z0-9_]+", kind.name), kind
    names = {name[len("MFA_ERR_") :]: value for name, value in vars(_abi).items() if name.startswith("MFA_ERR_")}
    assert {kind.name: kind.code for kind in raised} == names
    assert exceptions.ClosedError is ClosedError and "ClosedError" in exceptions.__all__
    with pytest.raises(ClosedError, match="^CLOSED: this CancelToken is closed$"):
        token = CancelToken()
        token._close()
        token._open()


def test_a_newer_library_s_code_has_its_name_without_c(client: HyperId) -> None:
    with pytest.raises(exceptions.TokenInvalidError) as raised:
        client.availability("sandbox-token-invalid")
    assert raised.value.name == "TOKEN_INVALID" and str(raised.value).startswith("TOKEN_INVALID: ")


WRONG: list[tuple[Callable[[Any], object], str]] = [
    (lambda c: c.confirm("t", 12), "request must be a Request or text, not int"),
    (lambda c: c.confirm("t", None), "request must be a Request or text, not NoneType"),
    (lambda c: c.confirm(12, "?"), "access_token must be text, not int"),
    (lambda c: c.availability(None), "access_token must be text, not NoneType"),
    (lambda c: c.confirm("t", "?", wait={}), "wait must be WaitOptions, not dict"),
    (lambda c: c.wait("t", 1, wait={}), "wait must be WaitOptions, not dict"),
    (lambda c: c.confirm("t", "?", timeout="5"), "timeout must be a number of seconds, not str"),
    (lambda c: c.start("t", "?", timeout=True), "timeout must be a number of seconds, not bool"),
    (lambda c: c.wait("t", 1, timeout=datetime.timedelta(1)), "timeout must be a number of seconds, not timedelta"),
    (lambda c: c.confirm("t", "?", cancel=True), "cancel must be a CancelToken, not bool"),
    (lambda c: c.availability("t", cancel=1), "cancel must be a CancelToken, not int"),
    (lambda c: c.confirm("t", "?", on_update=5), "on_update must be a function, not int"),
    (lambda c: c.confirm("t", "?", refresh_access_token="t"), "refresh_access_token must be a function, not str"),
    (lambda c: c.confirm("t", "?", wait=WaitOptions(min_interval="1")), "min_interval must be a number of seconds"),  # type: ignore[arg-type]
    (lambda c: c.confirm("t", "?", wait=WaitOptions(withdraw_on_cancel="no")), "withdraw_on_cancel must be True or False"),  # type: ignore[arg-type]
    (lambda c: c.start("t", Request(12)), "question must be text, not int"),  # type: ignore[arg-type]
    (lambda c: c.start("t", Request("?", any_code=1)), "any_code must be True or False, not int"),  # type: ignore[arg-type]
    (lambda c: c.start("t", Request("?", template_id="4")), "template_id must be an integer, not str"),  # type: ignore[arg-type]
    (lambda c: c.status("t", "12"), "transaction_id must be an integer, not str"),
    (lambda c: c.cancel("t", True), "transaction_id must be an integer, not bool"),
    (lambda c: asyncio.run(c.confirm_async("t", 12)), "request must be a Request or text, not int"),
    (lambda c: asyncio.run(c.confirm_async("t", "?", wait=[])), "wait must be WaitOptions, not list"),
    (lambda c: asyncio.run(c.wait_async("t", 1, timeout="5")), "timeout must be a number of seconds, not str"),
    (lambda c: asyncio.run(c.wait_async("t", 1, on_update=5)), "on_update must be a function, not int"),
    (lambda c: asyncio.run(c.confirm_async("t", "?", cancel=1)), "cancel must be a CancelToken, not int"),
    (lambda c: asyncio.run(c.availability_async("t", cancel=1)), "cancel must be a CancelToken, not int"),
    (lambda c: c.waiter(max_connections="8"), "max_connections must be an integer, not str"),
    (lambda c: c.waiter().confirm("t", 12), "request must be a Request or text, not int"),
    (lambda c: c.waiter().confirm("t", "?", wait={}), "wait must be WaitOptions, not dict"),
    (lambda c: c.waiter().confirm("t", "?", refresh_access_token=5), "refresh_access_token must be a function, not int"),
    (lambda c: c.waiter().confirm("t", "?", ask_for_token="no"), "ask_for_token must be True or False, not str"),
    (lambda c: c.waiter().next("5"), "timeout must be a number of seconds, not str"),
    (lambda c: c.waiter().cancel("5"), "ticket must be an integer, not str"),
    (lambda c: HyperId(12), "base_url must be text, not int"),  # type: ignore[arg-type]
    (lambda c: HyperId(allow_loopback_http="no"), "allow_loopback_http must be True or False, not str"),  # type: ignore[arg-type]
    (lambda c: HyperId(headers=["a"]), "headers must be a mapping, not list"),  # type: ignore[arg-type]
    (lambda c: HyperId(headers={"a": 1}), "the names and values of headers must be text"),  # type: ignore[dict-item]
    (lambda c: HyperId(log=5), "log must be a function, not int"),  # type: ignore[arg-type]
    (lambda c: HyperId(log=print, log_level="DEBUG"), "log_level must be a level of logging, not str"),  # type: ignore[arg-type]
    (lambda c: HyperId(request_timeout="5"), "request_timeout must be a number of seconds, not str"),  # type: ignore[arg-type]
    (lambda c: Sandbox(tls="no"), "tls must be True or False, not str"),  # type: ignore[arg-type]
    (lambda c: Sandbox(port="x"), "port must be an integer, not str"),  # type: ignore[arg-type]
]


@pytest.mark.parametrize(("attempt", "says"), WRONG, ids=[says for _, says in WRONG])
def test_a_value_of_a_wrong_kind_is_a_sentence(
    client: HyperId, mfa_sandbox: Sandbox, attempt: Callable[[Any], object], says: str
) -> None:
    with pytest.raises(TypeError, match=f"^{re.escape(says)}"):
        attempt(client)
    assert mfa_sandbox.request_count() == 0


def test_every_awaited_call_says_what_it_does() -> None:
    for kind in HyperId, Capillary:
        for name, one in vars(kind).items():
            if not name.startswith("_") and inspect.isfunction(one):
                assert one.__doc__, f"{kind.__name__}.{name}"


def test_from_a_zip_file(tmp_path: Path) -> None:
    archive = tmp_path / "program.pyz"
    with zipfile.ZipFile(archive, "w") as file:
        for source in Path(mfa_client.__file__).parent.glob("*.py"):
            file.write(source, f"mfa_client/{source.name}")
    program = """
del sys.modules["mfa_client"]
for name in [name for name in sys.modules if name.startswith("mfa_client.")]:
    del sys.modules[name]
sys.path.insert(0, sys.argv[1])
import mfa_client
try:
    mfa_client.HyperId()
except mfa_client.LibraryError as error:
    print(error)
"""
    output, errors = outcome(program, str(archive))
    assert f"lies in the archive {archive}" in output and "load(path)" in output, errors


@pytest.mark.parametrize("name", ["LICENSE-MIT", "LICENSE-APACHE"])
def test_the_licences_are_those_of_the_repository(name: str) -> None:
    """The wheel's have to lie in the package's own folder."""
    here = TREE / "bindings" / "python" / name
    assert here.read_bytes() == (TREE / name).read_bytes()
