"""Limits that several fronts share: each reservation is one atomic step in a store of theirs.

When the store does not answer, requests are refused: nobody can say whether they are within their
limits. Those that run go on, and what they used is told to the store when it is back.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import secrets
from collections.abc import Iterable
from typing import Protocol

import msgspec

from stoker.core.clock import Clock
from stoker.errors import StorageUnavailable
from stoker.gateway.ledger import Ask, Grant
from stoker.gateway.limit_refusal import Refusal, error_of
from stoker.gateway.stores.interface import Keep
from stoker.gateway.tenant import Tenant
from stoker.gateway.usage import Usage
from stoker.gateway.usage_record import UsageRecord, worst_record
from stoker.gateway.windows import window_of

log = logging.getLogger(__name__)

AWAY_SECONDS = 0.5
"""After a failure, requests are refused for so long without asking the store."""
RETRY_SECONDS = 1.0
"""Between attempts to tell the store what was used while it was away."""
CLOSE_SECONDS = 5.0
"""For the last of these."""


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """A reservation to be made."""

    reservation: str
    ask: Ask
    window: str
    wall: float
    """Unix seconds. A store takes the latest it has heard, should the fronts' clocks differ."""
    record: bytes
    """JSON, to be given back when nobody settles. Its output is what is asked for, its cost the
    worst."""


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    refusal: str = ""
    """A Refusal's value; empty: granted."""
    output_tokens: int = 0
    retry_after: float = 0.0
    expired: tuple[tuple[str, int, int], ...] = ()
    """Record, output and worst cost of reservations of this tenant that nobody settled in time."""


class Settlement(msgspec.Struct, frozen=True, kw_only=True):
    reservation: str
    tenant: str
    tokens: int = 0
    cost: int = 0


class SharedLimits(Protocol):
    """Each call is atomic, and repeating it changes nothing. Raises StorageUnavailable."""

    async def reserve(self, order: Order) -> Verdict: ...

    async def settle(self, settlement: Settlement) -> bool:
        """False: it was settled before, or ran out."""
        ...

    def check(self, tenants: Iterable[Tenant]) -> None:
        """Raises ConfigError for limits that cannot be kept exactly."""
        ...

    async def close(self) -> None: ...


class RemoteLimiter:
    """Implements Limiter."""

    def __init__(self, shared: SharedLimits, clock: Clock, keep: Keep) -> None:
        self._shared = shared
        self._clock = clock
        self._keep = keep
        self._names = (f"{secrets.token_hex(6)}.{n}" for n in itertools.count(1))
        self._away_until = float("-inf")
        self._late: dict[str, Settlement] = {}
        """Not more than requests that were open when the store went away."""
        self._telling: asyncio.Task[None] | None = None

    async def reserve(self, ask: Ask) -> Grant:
        if self._clock.monotonic() < self._away_until:
            raise StorageUnavailable("the store of limits does not answer", retry_after=1.0)
        order = self._order(ask)
        asking = asyncio.create_task(self._ask(order), name="reserve")
        try:
            verdict = await asyncio.shield(asking)
        except asyncio.CancelledError:  # nobody will settle what is being reserved
            asking.add_done_callback(lambda done: self._drop(order, done))
            raise
        for record, output, worst in verdict.expired:
            self._keep(_expired(record, output, worst))
        if verdict.refusal:
            raise error_of(Refusal(verdict.refusal), ask, verdict.retry_after)
        return Grant(ask=ask, output_tokens=verdict.output_tokens, reservation=order.reservation)

    async def settle(self, grant: Grant, usage: Usage) -> bool:
        settlement = Settlement(
            reservation=grant.reservation,
            tenant=grant.ask.tenant.name,
            tokens=usage.total_tokens,
            cost=grant.ask.price.cost(usage),
        )
        if settlement.reservation in self._late:
            return False
        try:
            return await self._shared.settle(settlement)
        except StorageUnavailable:
            self._later(settlement)
            return True

    def update(self, tenants: Iterable[Tenant]) -> None:
        self._shared.check(tenants)

    async def close(self) -> None:
        if self._telling is not None:
            try:
                await asyncio.wait_for(self._telling, CLOSE_SECONDS)
            except TimeoutError:
                log.error("%d reservations were not settled; they run out", len(self._late))
        await self._shared.close()

    async def _ask(self, order: Order) -> Verdict:
        """Twice: connections that a restarted store has forgotten fail once each."""
        with contextlib.suppress(StorageUnavailable):
            return await self._shared.reserve(order)
        try:
            return await self._shared.reserve(order)
        except StorageUnavailable:
            self._away_until = self._clock.monotonic() + AWAY_SECONDS
            self._later(_unused(order))  # the answer may be all that was lost
            raise

    def _drop(self, order: Order, asking: asyncio.Task[Verdict]) -> None:
        if not asking.cancelled() and asking.exception() is None:
            self._later(_unused(order))

    def _order(self, ask: Ask) -> Order:
        wall, name = self._clock.wall(), next(self._names)
        most = Grant(ask=ask, output_tokens=ask.output_tokens, reservation=name)
        return Order(
            reservation=name,
            ask=ask,
            window=window_of(ask.tenant.limits.budget_window, wall),
            wall=wall,
            record=msgspec.json.encode(worst_record(most, wall + ask.seconds)),
        )

    def _later(self, settlement: Settlement) -> None:
        self._late[settlement.reservation] = settlement
        if self._telling is None or self._telling.done():
            self._telling = asyncio.create_task(self._tell(), name="late settlements")

    async def _tell(self) -> None:
        while self._late:
            await asyncio.sleep(RETRY_SECONDS)
            try:
                for settlement in list(self._late.values()):
                    await self._shared.settle(settlement)
                    del self._late[settlement.reservation]
            except StorageUnavailable as error:
                log.error("%d settlements wait: %s", len(self._late), error.message)


def _unused(order: Order) -> Settlement:
    return Settlement(reservation=order.reservation, tenant=order.ask.tenant.name)


def _expired(record: str, output: int, worst: int) -> UsageRecord:
    most = msgspec.json.decode(record, type=UsageRecord)
    return msgspec.structs.replace(most, output_tokens=output, cost=worst)
