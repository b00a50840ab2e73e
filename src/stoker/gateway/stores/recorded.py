"""The ledger: a limiter decides, and a journal remembers what was used."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from stoker.core.clock import Clock
from stoker.gateway.ledger import Ask, Grant
from stoker.gateway.stores.interface import Keep, Limiter, UsageStore
from stoker.gateway.stores.journal import Journal
from stoker.gateway.tenant import Tenant
from stoker.gateway.usage import Usage
from stoker.gateway.usage_record import record_of


class RecordedLedger:
    """Implements Ledger."""

    def __init__(self, store: UsageStore, limiter: Callable[[Keep], Limiter], clock: Clock) -> None:
        """Closes both at its end. `limiter` makes one that records through its argument."""
        self._store = store
        self._journal = Journal(store)
        self.limiter = limiter(self._journal.keep)
        self._clock = clock
        self._closed = False

    async def reserve(self, ask: Ask) -> Grant:
        return await self.limiter.reserve(ask)

    async def settle(self, grant: Grant, usage: Usage, outcome: str) -> None:
        if await self.limiter.settle(grant, usage):
            self._journal.keep(record_of(grant, usage, outcome, self._clock.wall()))

    def update(self, tenants: Iterable[Tenant]) -> None:
        self.limiter.update(tenants)

    async def close(self) -> None:
        """Safe to call twice."""
        if self._closed:
            return
        self._closed = True
        await self.limiter.close()
        await self._journal.close()
        await self._store.close()
