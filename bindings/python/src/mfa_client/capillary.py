"""Capillary: whether MFA is registered for a user."""

from __future__ import annotations

from typing import Optional

from . import _abi
from ._call import Call
from ._client import Client
from ._library import library
from ._values import required_text, struct
from .answers import Registration, registration_from
from .cancel import CancelToken
from .cancel import token as _token


class Capillary(Client):
    """A client for Capillary. `base_url` is required: each region has a host of its own."""

    _prefix = "mfa_capillary"

    def is_mfa_registered(
        self,
        brand: str,
        device_id: str,
        authorized_token: str,
        *,
        timeout: Optional[float] = None,
        cancel: Optional[CancelToken] = None,
    ) -> Registration:
        """Asks whether MFA is registered for the user whom `authorized_token` belongs to."""
        return self._is_mfa_registered(brand, device_id, authorized_token, timeout).run(_token(cancel))

    async def is_mfa_registered_async(
        self,
        brand: str,
        device_id: str,
        authorized_token: str,
        *,
        timeout: Optional[float] = None,
        cancel: Optional[CancelToken] = None,
    ) -> Registration:
        """As `is_mfa_registered`, awaited. Cancelling the task ends the call."""
        return await self._is_mfa_registered(brand, device_id, authorized_token, timeout).run_async(_token(cancel))

    def _is_mfa_registered(
        self, brand: str, device_id: str, token: str, timeout: Optional[float]
    ) -> Call[Registration]:
        return Call(
            self._open(),
            library().mfa_capillary_is_mfa_registered,
            (
                required_text("brand", brand),
                required_text("device_id", device_id),
                required_text("authorized_token", token),
            ),
            struct(_abi.mfa_registration),
            lambda _, out: registration_from(out),
            timeout,
        )
