"""A ledger that lives as long as its process. The others are made of it."""

from __future__ import annotations

from collections.abc import Iterable

from stoker.core.clock import Clock
from stoker.gateway.ledger import Ask, Grant
from stoker.gateway.limits import Limits, Reservation, worst_usage
from stoker.gateway.tenant import Tenant
from stoker.gateway.usage import Usage
from stoker.gateway.usage_record import UsageRecord, record_of

EXPIRED = "reservation_expired"


class MemoryLedger:
    """Implements Ledger, for one event loop: a reservation is atomic because nothing waits in
    it."""

    def __init__(self, tenants: Iterable[Tenant], clock: Clock) -> None:
        self.limits = Limits(tenants)
        self._clock = clock

    async def reserve(self, ask: Ask) -> Grant:
        return self._reserve(ask).grant

    async def settle(self, grant: Grant, usage: Usage, outcome: str) -> None:
        cost = self.limits.settle(grant.ask.request_id, usage)
        if cost is not None:
            self._keep(record_of(grant, usage, cost, outcome, self._clock.wall()))

    async def close(self) -> None:
        return None

    def update(self, tenants: Iterable[Tenant]) -> None:
        """New limits; what was used stays counted."""
        self.limits.update(tenants)

    def _reserve(self, ask: Ask) -> Reservation:
        now, wall = self._clock.monotonic(), self._clock.wall()
        for expired in self.limits.expired(now):
            grant = expired.grant
            self._keep(record_of(grant, worst_usage(grant), expired.worst, EXPIRED, wall))
        return self.limits.reserve(ask, now, wall)

    def _keep(self, record: UsageRecord) -> None:
        """What a request used, once. Kept nowhere here."""
