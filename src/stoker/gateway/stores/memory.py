"""Limits that live as long as their process."""

from __future__ import annotations

from collections.abc import Iterable

from stoker.core.clock import Clock
from stoker.gateway.ledger import Ask, Grant
from stoker.gateway.limits import Limits
from stoker.gateway.stores.interface import Keep
from stoker.gateway.tenant import Tenant
from stoker.gateway.usage import Usage
from stoker.gateway.usage_record import worst_record


class MemoryLimiter:
    """Implements Limiter, for one event loop: reserving is atomic because nothing waits in it."""

    def __init__(self, clock: Clock, keep: Keep) -> None:
        self.limits = Limits()
        self._clock = clock
        self._keep = keep

    async def reserve(self, ask: Ask) -> Grant:
        return self._reserve(ask)

    async def settle(self, grant: Grant, usage: Usage) -> bool:
        return self.limits.settle(grant, usage)

    def update(self, tenants: Iterable[Tenant]) -> None:
        """Nothing to do: limits come with each request."""

    async def close(self) -> None:
        return None

    def _reserve(self, ask: Ask) -> Grant:
        now, wall = self._clock.monotonic(), self._clock.wall()
        for reservation in self.limits.expired(now):
            self._keep(worst_record(reservation.grant, wall))
        return self.limits.reserve(ask, now, wall).grant
