"""From a validated request to one that may run: reserved in the ledger, and its turn come.

Whatever happens in between, what was reserved is settled exactly once.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Protocol

import msgspec

from stoker.errors import StokerError
from stoker.gateway.ledger import Ask, Grant, Ledger
from stoker.gateway.tenant import Principal
from stoker.gateway.usage import Price, Usage


class Visit:
    """One request of a client, at however many targets it is tried."""

    def __init__(self) -> None:
        self.counted = False
        """In its tenant's requests of the minute."""


class Demand(msgspec.Struct, frozen=True, kw_only=True):
    """What a request may come to, known before it runs."""

    request_id: str
    visit: Visit = msgspec.field(default_factory=Visit)
    principal: Principal
    model: str
    backend: str = ""
    """Who is to answer; empty: we do."""
    price: Price = Price()
    input_tokens: int
    output_tokens: int
    """The most it may produce."""
    seconds: float
    """It may still take."""
    sequences: int = 1
    """Answers it asks for."""

    @property
    def ask(self) -> Ask:
        return Ask(
            request_id=self.request_id,
            tenant=self.principal.tenant,
            key_id=self.principal.key_id,
            model=self.model,
            backend=self.backend,
            price=self.price,
            requests=0 if self.visit.counted else 1,
            input_tokens=self.input_tokens,
            output_tokens=self.output_tokens,
            seconds=self.seconds,
        )


class Admitted:
    """A request that runs. Whoever runs it keeps `usage` and `outcome` up to date."""

    def __init__(self, grant: Grant) -> None:
        self.output_tokens = grant.output_tokens
        """The most it may produce; less than demanded where a budget is nearly spent."""
        self.usage = Usage()
        self.outcome = "cancelled"
        """A finish reason; replaced by an error's code when one ends the request."""


class Turn(Protocol):
    """A place at the replicas, held while it is entered."""

    usage: Usage | None
    """What the request has used, set before leaving."""

    async def __aenter__(self) -> Turn:
        """Waits. Raises Overloaded, DeadlineExceeded or Draining instead."""
        ...

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...


class Line(Protocol):
    """Where requests for one model wait for their turn."""

    def turn(self, demand: Demand) -> Turn: ...

    def close(self) -> None:
        """Refuses those that wait and those that come, with Draining."""
        ...


class Admission:
    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        """Another one may be put here; what an earlier one granted is settled there."""
        self._settling: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def admit(self, demand: Demand, line: Line) -> AsyncIterator[Admitted]:
        """Raises RateLimitExceeded, BudgetExhausted, Overloaded, DeadlineExceeded or Draining
        before anything ran."""
        ledger = self.ledger
        grant = await ledger.reserve(demand.ask)
        demand.visit.counted = True
        admitted = Admitted(grant)
        try:
            async with line.turn(demand) as turn:
                try:
                    yield admitted
                finally:
                    turn.usage = admitted.usage
        except StokerError as error:
            admitted.outcome = error.code
            raise
        finally:
            await self._settle(ledger, grant, admitted)

    async def _settle(self, ledger: Ledger, grant: Grant, admitted: Admitted) -> None:
        """Not undone by a client that leaves meanwhile."""
        settling = asyncio.ensure_future(ledger.settle(grant, admitted.usage, admitted.outcome))
        self._settling.add(settling)
        settling.add_done_callback(self._settling.discard)
        await asyncio.shield(settling)
