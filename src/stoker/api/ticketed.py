"""A client's own request at a replica: a front has admitted and signed it, a proxy brought it."""

from __future__ import annotations

import hmac

import msgspec

from stoker.api.dispatch import Endpoint
from stoker.api.exchange import Exchange
from stoker.api.front import Front
from stoker.api.replica_gate import TicketGate
from stoker.errors import InvalidRequest, PermissionDenied
from stoker.fleet.outbox import Outbox
from stoker.fleet.replica_protocol import ANSWER_PATH, Outcomes, OutcomesAsked
from stoker.fleet.ticket import Ticket, body_digest
from stoker.gateway.tenant import Band, Principal, Tenant
from stoker.gateway.ticket_ledger import TicketLedger

MOST_SECONDS = 30.0
"""A question is kept."""


class Ticketed:
    """What a front serves, for requests with a ticket for their very path and body."""

    def __init__(
        self, endpoint: Endpoint, front: Front, gate: TicketGate, ledger: TicketLedger
    ) -> None:
        self._endpoint = endpoint
        self._front = front
        self._gate = gate
        self._ledger = ledger

    async def __call__(self, exchange: Exchange) -> None:
        ticket = self._gate.take(exchange)
        if not ticket.body:
            raise PermissionDenied("the ticket is for frames")
        exchange.request_id = ticket.request_id.partition("/")[0]
        exchange.seconds = ticket.seconds
        exchange.wanted_adapter = ticket.adapter
        exchange.principal = principal_of(ticket)
        with self._ledger.opened(ticket, exchange.request_id):
            self._front.check_accepting()
            path = exchange.scope["path"].removeprefix(ANSWER_PATH)
            digest = body_digest(path, await exchange.read())
            if not hmac.compare_digest(digest, ticket.body):
                raise PermissionDenied("the ticket is for another body")
            await self._endpoint(exchange)


class ReportOutcomes:
    """Fronts ask here how requests ended that came through a proxy."""

    def __init__(self, gate: TicketGate, ledger: TicketLedger, outbox: Outbox) -> None:
        self._gate = gate
        self._ledger = ledger
        self._outbox = outbox

    async def __call__(self, exchange: Exchange) -> None:
        ticket = self._gate.look(exchange)
        try:
            question = msgspec.json.decode(await exchange.read(), type=OutcomesAsked)
        except msgspec.DecodeError:
            raise InvalidRequest("the body is not a question for outcomes") from None
        if not ticket.front or ticket.front != question.front:
            raise PermissionDenied("the ticket is for another front")
        await exchange.while_connected(self._answer(exchange, question))

    async def _answer(self, exchange: Exchange, question: OutcomesAsked) -> None:
        front = question.front
        self._outbox.known(front, question.done)
        outcomes = await self._outbox.waiting(front, min(question.seconds, MOST_SECONDS))
        answer = Outcomes(
            run=self._outbox.run,
            outcomes=outcomes,
            unused=self._ledger.unused(front, question.late),
        )
        await exchange.respond(msgspec.json.encode(answer))


def principal_of(ticket: Ticket) -> Principal:
    """Whom the front authenticated."""
    return Principal(tenant=Tenant(name=ticket.tenant, band=Band(ticket.priority)))
