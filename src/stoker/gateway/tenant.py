"""Who asks, what they may use, and how much of it."""

from __future__ import annotations

import enum

import msgspec


class Band(enum.IntEnum):
    """Lower is served first, but none waits for ever (see fair_queue.py)."""

    INTERACTIVE = 0
    STANDARD = 1
    BATCH = 2


class Privacy(enum.Enum):
    ANY = "any"
    LOCAL = "local"
    """Never sent to a backend that is not private."""


class TenantLimits(msgspec.Struct, frozen=True, kw_only=True):
    """0: no limit."""

    requests_per_minute: int = 0
    tokens_per_minute: int = 0
    concurrency: int = 0
    budget: int = 0
    """In billionths of the currency; see usage.py."""
    budget_window: str = "month"
    """hour, day, week, month or ever: windows begin with the calendar's, in UTC."""


class Tenant(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    weight: float = 1.0
    band: Band = Band.STANDARD
    models: frozenset[str] = frozenset()
    """Empty: all."""
    limits: TenantLimits = TenantLimits()
    privacy: Privacy = Privacy.ANY


class Principal(msgspec.Struct, frozen=True, kw_only=True):
    """An authenticated client."""

    tenant: Tenant
    key_id: str = ""
    """Empty for the anonymous tenant of a server without keys."""
    models: frozenset[str] = frozenset()
    """What this key may use of what the tenant may; empty: all of it."""
    admin: bool = False
    """It may change what is served."""

    def may_use(self, model: str) -> bool:
        return all(not allowed or model in allowed for allowed in (self.tenant.models, self.models))


ANONYMOUS = Principal(tenant=Tenant(name=""))
"""Everybody, on a server without keys."""
