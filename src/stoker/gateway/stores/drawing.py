"""Decisions in memory, with money that was written off before.

A request does not wait for a disk, and yet a budget must not be exceeded after a kill -9. So money
is drawn in pieces: what funds are drawn from always says that at least as much is spent as can have
been spent. What was drawn and not used is given back at an orderly end; after a crash it counts as
spent. Several processes may draw from one place.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable

from stoker.core.clock import Clock
from stoker.errors import StorageUnavailable
from stoker.gateway.ledger import Ask, Grant
from stoker.gateway.limits import Account, costs
from stoker.gateway.stores.interface import Funds, Keep
from stoker.gateway.stores.memory import MemoryLimiter
from stoker.gateway.tenant import Tenant

log = logging.getLogger(__name__)

PIECES = 100
"""Beside what a request needs, a budget is drawn in so many pieces."""
DRY_SECONDS = 1.0
"""Funds that had nothing left are not asked again for so long."""


class DrawingLimiter(MemoryLimiter):
    """Implements Limiter. Money is shared with everybody who draws from the same funds, the other
    limits are this process's own."""

    def __init__(self, funds: Funds, clock: Clock, keep: Keep) -> None:
        super().__init__(clock, keep)
        self._funds = funds
        self._dry: dict[str, tuple[str, float]] = {}
        """Tenant → the window that has nothing left, and when to look again."""
        self._draws: dict[str, asyncio.Task[None]] = {}
        """Tenant → the draw under way, which whoever is short waits for together."""

    async def reserve(self, ask: Ask) -> Grant:
        while (shortage := self._shortage(ask)) > 0:
            await asyncio.shield(self._draws.get(ask.tenant.name) or self._begin(ask, shortage))
        return self._reserve(ask)

    def update(self, tenants: Iterable[Tenant]) -> None:
        """A budget may have been raised."""
        self._dry.clear()

    async def close(self) -> None:
        """Gives back what was drawn and neither spent nor reserved."""
        await asyncio.gather(*self._draws.values(), return_exceptions=True)
        for name, account in self.limits.accounts.items():
            unused = (account.allowance or 0) - account.committed
            if unused <= 0:
                continue
            account.allowance = account.committed
            try:
                await self._funds.give_back(name, account.window, unused)
            except StorageUnavailable:
                log.error("money drawn for '%s' and not used could not be given back", name)

    def _begin(self, ask: Ask, shortage: int) -> asyncio.Task[None]:
        """A task of its own: a client that leaves must not take along what is drawn for it."""
        name = ask.tenant.name
        task = asyncio.create_task(self._draw(ask, shortage), name=f"draw for {name}")
        self._draws[name] = task
        task.add_done_callback(lambda done: self._drawn(name, done))
        return task

    def _drawn(self, name: str, task: asyncio.Task[None]) -> None:
        self._draws.pop(name, None)
        if not task.cancelled():
            task.exception()  # whoever waits for it has it; perhaps nobody does any more

    async def _draw(self, ask: Ask, shortage: int) -> None:
        name, budget = ask.tenant.name, ask.tenant.limits.budget
        window = self._account(ask).window
        drawn = await self._funds.draw(name, window, shortage + budget // PIECES, budget)
        account = self._account(ask)
        if window != account.window:
            await self._funds.give_back(name, window, drawn)
        elif drawn:
            account.allowance = (account.allowance or 0) + drawn
        else:
            self._dry[name] = (window, self._clock.monotonic() + DRY_SECONDS)

    def _account(self, ask: Ask) -> Account:
        account = self.limits.account(ask, self._clock.wall())
        if account.allowance is None:
            account.allowance = 0
        return account

    def _shortage(self, ask: Ask) -> int:
        """The money to be drawn before this request can be decided on."""
        account = self._account(ask)
        if not costs(ask):
            return 0
        window, until = self._dry.get(ask.tenant.name, ("", 0.0))
        if window == account.window and self._clock.monotonic() < until:
            return 0
        worst = ask.price.worst(ask.input_tokens, ask.output_tokens)
        return account.committed + worst - (account.allowance or 0)
