"""What the clients of both providers have in common."""

from __future__ import annotations

import ctypes
import logging
from collections.abc import Mapping
from typing import Any, Callable, ClassVar, Optional, TypeVar

from . import _abi
from ._call import callback, error_from, native
from ._handle import Handle, Owner
from ._library import library
from ._names import in_python
from ._values import Text, boolean, function, instance, integer, milliseconds, struct, text
from .exceptions import InvalidArgumentError

Self = TypeVar("Self", bound="Client")
Log = Callable[[int, str], object]
"""Told the level, one of `logging`'s, and the text."""


_PYTHON_LEVELS = {
    _abi.MFA_LOG_ERROR: logging.ERROR,
    _abi.MFA_LOG_WARN: logging.WARNING,
    _abi.MFA_LOG_INFO: logging.INFO,
    _abi.MFA_LOG_DEBUG: logging.DEBUG,
}


def _native_level(python_level: int) -> int:
    wanted = [ours for ours, theirs in _PYTHON_LEVELS.items() if theirs >= python_level]
    return max(wanted, default=_abi.MFA_LOG_OFF)


def _log_callback(log: Log) -> Any:
    def call(level: int, message: bytes) -> None:
        log(_PYTHON_LEVELS.get(level, logging.DEBUG), in_python(message.decode("utf-8", "replace")))

    return callback(_abi.mfa_log_fn, call, None)


def _lines(headers: Mapping[str, str]) -> str:
    """As libmfa takes them; what would become another header on the way is refused here."""
    for name, value in instance("headers", headers, Mapping, "a mapping").items():  # type: ignore[type-abstract]
        if not isinstance(name, str) or not isinstance(value, str):
            raise TypeError("the names and values of headers must be text")
        if ":" in name or "\n" in name + value:
            raise InvalidArgumentError("a header's name holds a colon, or it holds a line break")
    return "\n".join(f"{name}: {value}" for name, value in headers.items())


class Client(Owner):
    """A client: safe to use from any number of threads at once. Make one and keep it."""

    _prefix: ClassVar[str]

    def __init__(
        self,
        base_url: Optional[str] = None,
        *,
        allow_loopback_http: bool = False,
        ca_pem: Optional[Text] = None,
        proxy_url: Optional[str] = None,
        proxy_from_env: bool = False,
        client_cert_pem: Optional[Text] = None,
        client_key_pem: Optional[Text] = None,
        headers: Optional[Mapping[str, str]] = None,
        user_agent: Optional[str] = None,
        request_timeout: Optional[float] = None,
        connect_timeout: Optional[float] = None,
        max_idle_connections: Optional[int] = None,
        log: Optional[Log] = None,
        log_level: int = logging.WARNING,
    ) -> None:
        """Nothing is sent. None is libmfa's default everywhere.

        base_url: https; HyperID's production by default, required for Capillary.
        allow_loopback_http: http to this machine, for a sandbox.
        ca_pem: certificates that are trusted in place of the built-in roots.
        proxy_url: http://[user[:password]@]host[:port], percent-encoded; asked to CONNECT.
        proxy_from_env: without a `proxy_url`, take the environment's.
        client_cert_pem, client_key_pem: what to show to a server that asks for a certificate.
        headers: sent with every request in addition to libmfa's own.
        user_agent: appended to libmfa's own.
        request_timeout: seconds of one exchange, and of a short call that names no `timeout`; 30.
        connect_timeout: seconds of name, TCP and TLS together; 10.
        max_idle_connections: the most that are kept for later calls; 64.
        log, log_level: `logging.getLogger("mfa").log` fits, and so do the levels of `logging`.
            It is called on the thread that calls libmfa. If it raises, so does the call.
        """
        idle = 0
        if max_idle_connections is not None:
            idle = integer("max_idle_connections", max_idle_connections, 32, 1)
        log_callback = None if log is None else _log_callback(function("log", log) or log)
        least = instance("log_level", log_level, int, "a level of logging")
        options = struct(
            _abi.mfa_client_options,
            flags=(_abi.MFA_CLIENT_ALLOW_LOOPBACK_HTTP if boolean("allow_loopback_http", allow_loopback_http) else 0)
            | (_abi.MFA_CLIENT_PROXY_FROM_ENV if boolean("proxy_from_env", proxy_from_env) else 0),
            base_url=text("base_url", base_url),
            request_timeout_ms=milliseconds("request_timeout", request_timeout),
            connect_timeout_ms=milliseconds("connect_timeout", connect_timeout),
            ca_pem=text("ca_pem", ca_pem),
            proxy_url=text("proxy_url", proxy_url),
            user_agent=text("user_agent", user_agent),
            max_idle_connections=idle,
            log_level=_abi.MFA_LOG_OFF if log is None else _native_level(least),
            log=log_callback or _abi.mfa_log_fn(),
            client_cert_pem=text("client_cert_pem", client_cert_pem),
            client_key_pem=text("client_key_pem", client_key_pem),
            headers=text("headers", None if headers is None else _lines(headers)),
        )
        lib = library()
        pointer = ctypes.c_void_p()
        err = struct(_abi.mfa_error)
        new = getattr(lib, f"{self._prefix}_new")
        try:
            code = native(new, ctypes.byref(options), ctypes.byref(pointer), ctypes.byref(err))
        finally:
            if pointer.value:
                free = getattr(lib, f"{self._prefix}_free")
                self._handle = Handle(pointer.value, free, type(self).__name__, log_callback)
                self._handle.default_timeout = request_timeout or self._handle.default_timeout
        if code != _abi.MFA_OK:
            raise error_from(code, err)

    def close(self) -> None:
        """Closes the connections, once the calls that still run have ended. Again does nothing."""
        self._close()

    @property
    def closed(self) -> bool:
        """Whether `close` was called; every later call raises `ClosedError`."""
        return self._handle is None or self._handle.closed

    def __enter__(self: Self) -> Self:
        self._open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {'closed' if self.closed else 'open'}>"
