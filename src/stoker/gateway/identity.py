"""Whose request it is: keys to tenants. Only digests of keys are held.

A key is 192 random bits, so a fast digest is enough: there is nothing to guess from. It is looked
up by digest and compared in constant time, so that neither length nor prefix of a key shows
(CVE-2025-59425).
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import msgspec

from stoker.config.fleet_schema import KeyEntry, TenantEntry
from stoker.errors import InvalidApiKey
from stoker.gateway.tenant import ANONYMOUS, Band, Principal, Privacy, Tenant, TenantLimits
from stoker.gateway.usage import NANO

PREFIX = "sk-stoker-"
SECRET_BYTES = 24


class _Key(msgspec.Struct, frozen=True):
    digest: bytes
    principal: Principal
    expires: float | None
    """Unix seconds."""


class Keyring:
    """Immutable: a reload makes a new one."""

    def __init__(
        self,
        tenants: Iterable[TenantEntry] = (),
        keys: Sequence[KeyEntry] = (),
        api_key: str | None = None,
    ) -> None:
        """`api_key` is the one key of a server without tenants; it belongs to the anonymous one."""
        self.tenants = {entry.name: tenant_of(entry) for entry in tenants}
        found = [_key(entry, self.tenants[entry.tenant]) for entry in keys]
        if api_key is not None:
            found.append(_Key(digest_of(api_key.encode()), ANONYMOUS, None))
        self._keys = {key.digest: key for key in found}

    @property
    def open(self) -> bool:
        """Whether anybody may come in without a key."""
        return not self._keys

    def authenticate(self, key: bytes | None, now: float) -> Principal:
        """`now` in Unix seconds. Raises InvalidApiKey, alike for unknown and expired keys."""
        if self.open:
            return ANONYMOUS
        if key is None:
            raise InvalidApiKey("no API key was sent")
        digest = digest_of(key)
        known = self._keys.get(digest)
        if known is None or not hmac.compare_digest(digest, known.digest):
            raise InvalidApiKey("the API key is not valid")
        if known.expires is not None and now >= known.expires:
            raise InvalidApiKey("the API key is not valid")
        return known.principal

    def principal(self, tenant: str, key_id: str, now: float) -> Principal | None:
        """Whoever has this key of this tenant; None when it is not valid any more."""
        if self.open and not tenant:
            return ANONYMOUS
        for key in self._keys.values():
            found = key.principal
            if found.key_id == key_id and found.tenant.name == tenant:
                return None if key.expires is not None and now >= key.expires else found
        return None


def new_key(key_id: str) -> str:
    """The id in it is for people who find a key and wonder whose it is."""
    return f"{PREFIX}{key_id}-{secrets.token_urlsafe(SECRET_BYTES)}"


def digest_of(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()


def tenant_of(entry: TenantEntry) -> Tenant:
    limits = TenantLimits(
        requests_per_minute=entry.requests_per_minute,
        tokens_per_minute=entry.tokens_per_minute,
        concurrency=entry.concurrency,
        budget=round(entry.budget * NANO),
        budget_window=entry.budget_window,
    )
    return Tenant(
        name=entry.name,
        weight=entry.weight,
        band=Band[entry.band.upper()],
        models=frozenset(entry.models),
        limits=limits,
        privacy=Privacy(entry.privacy),
    )


def _key(entry: KeyEntry, tenant: Tenant) -> _Key:
    principal = Principal(
        tenant=tenant, key_id=entry.id, models=frozenset(entry.models), admin=entry.admin
    )
    digest = bytes.fromhex(entry.digest.removeprefix("sha256:"))
    return _Key(digest, principal, _seconds(entry.expires))


def _seconds(when: str | None) -> float | None:
    if when is None:
        return None
    moment = datetime.fromisoformat(when)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
