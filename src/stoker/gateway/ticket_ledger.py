"""What requests with tickets may use at a replica, and what they used, for the fronts to settle.

The front that wrote a ticket has counted it against the limits of its tenant, and the request has
waited for its turn there.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress

from stoker.errors import PermissionDenied
from stoker.fleet.outbox import Outbox
from stoker.fleet.replica_protocol import Outcome
from stoker.fleet.ticket import Ticket
from stoker.gateway.admission import Admission, Admitted, Demand, Line
from stoker.gateway.ledger import Ask, Grant
from stoker.gateway.line import NoLine
from stoker.gateway.tenant import Tenant
from stoker.gateway.usage import Usage

NOTE_SECONDS = 1.0
"""An answer's last bytes wait no longer for its front to count it."""
REFUSED = "refused"
"""The ending of a request that did not get as far as being admitted."""


class TicketLedger:
    """Implements Ledger."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._open: dict[str, Ticket] = {}
        """By the id of the request."""
        self._tickets: set[str] = set()

    @contextmanager
    def opened(self, ticket: Ticket, request_id: str) -> Iterator[None]:
        """Meanwhile a request of this id may use what the ticket grants, once. Raises
        PermissionDenied when there is such a request already."""
        if request_id in self._open:
            raise PermissionDenied("the ticket is for a request that is being answered")
        self._open[request_id] = ticket
        self._tickets.add(ticket.request_id)
        try:
            yield
        finally:
            if self._open.pop(request_id, None) is not None:
                self._put(ticket, Usage(), REFUSED)
            self._tickets.discard(ticket.request_id)

    def unused(self, front: str, tickets: Iterable[str]) -> list[str]:
        """Those that no request came with."""
        return [
            one for one in tickets if one not in self._tickets and (front, one) not in self._outbox
        ]

    async def reserve(self, ask: Ask) -> Grant:
        ticket = self._open.get(ask.request_id)
        if ticket is None:
            raise PermissionDenied("a replica answers with a ticket only")
        output = min(ask.output_tokens, ticket.max_tokens)
        return Grant(ask=ask, output_tokens=output, reservation=ticket.request_id)

    async def settle(self, grant: Grant, usage: Usage, outcome: str) -> None:
        """Returns when the front has counted it, so that the client's next request finds its limits
        as they are then; though it waits only briefly."""
        ticket = self._open.pop(grant.ask.request_id, None)
        if ticket is None:
            return
        noted = self._put(ticket, usage, outcome)
        with suppress(TimeoutError):
            await asyncio.wait_for(noted.wait(), NOTE_SECONDS)

    def update(self, tenants: Iterable[Tenant]) -> None:
        """Tenants are the fronts' business."""

    async def close(self) -> None:
        return None

    def _put(self, ticket: Ticket, usage: Usage, ending: str) -> asyncio.Event:
        return self._outbox.put(
            ticket.front,
            Outcome(
                ticket=ticket.request_id,
                input_tokens=usage.input_tokens,
                cached_tokens=usage.cached_tokens,
                output_tokens=usage.output_tokens,
                ending=ending,
            ),
        )


class TicketAdmission(Admission):
    """Nobody waits in line twice."""

    @asynccontextmanager
    async def admit(self, demand: Demand, line: Line) -> AsyncIterator[Admitted]:
        async with super().admit(demand, NoLine()) as admitted:
            yield admitted
