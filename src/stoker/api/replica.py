"""The surface of a replica: fronts with tickets submit token sequences, and ask how it is."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from typing import cast

import msgspec

from stoker.api.body import read_body
from stoker.api.exchange import Exchange
from stoker.api.front import Front
from stoker.api.operation import Operation
from stoker.api.replica_gate import TicketGate
from stoker.api.routes import operations, watching
from stoker.api.service import Service
from stoker.api.ticketed import ReportOutcomes, Ticketed
from stoker.core.clock import Clock
from stoker.core.ids import RequestId
from stoker.core.output import TokenDelta
from stoker.core.request import Request
from stoker.engine import frames
from stoker.engine.interface import EngineInfo
from stoker.errors import InvalidRequest, Loading, PermissionDenied, ProtocolError
from stoker.fleet.outbox import Outbox
from stoker.fleet.replica_protocol import (
    ANSWER_PATH,
    FRAMES,
    MINE,
    OUTCOMES_PATH,
    REPORT_PATH,
    SUBMIT_PATH,
    VERSION_HEADER,
    Outcomes,
    OutcomesAsked,
    ReplicaReport,
)
from stoker.fleet.ticket import Ticket, TicketBook
from stoker.gateway.ticket_ledger import TicketLedger

_HEADERS = [(b"content-type", FRAMES.encode()), (b"cache-control", b"no-store")]


def replica_operations(
    front: Front, book: TicketBook, ledger: TicketLedger, outbox: Outbox, clock: Clock
) -> list[Operation]:
    """All that a replica answers, which serves one model. `ledger` is that of its admission, and
    writes to `outbox`."""
    service = next(iter(front.services.values()))
    gate = TicketGate(service.name, book, clock)
    return [
        Operation("POST", SUBMIT_PATH, "Compute a sequence", Submit(front, service, gate),
                  None, None),
        Operation("GET", REPORT_PATH, "How this replica is",
                  Report(front, service, gate, outbox.run), None, ReplicaReport),
        *(replace(asked, path=ANSWER_PATH + asked.path,
                  endpoint=Ticketed(asked.endpoint, front, gate, ledger))
          for asked in operations(front) if asked.method == "POST"),
        Operation("POST", OUTCOMES_PATH, "How such answers ended",
                  ReportOutcomes(gate, ledger, outbox), OutcomesAsked, Outcomes),
        *watching(front),
    ]  # fmt: skip


class Submit:
    def __init__(self, front: Front, service: Service, gate: TicketGate) -> None:
        self._front = front
        self._service = service
        self._gate = gate

    async def __call__(self, exchange: Exchange) -> None:
        ticket = self._gate.take(exchange)
        self._front.check_accepting()
        body = await read_body(exchange.receive, None, self._front.limits)
        request = allowed(sequence(body), ticket)
        await exchange.while_connected(self._stream(exchange, request, ticket.request_id))

    async def _stream(self, exchange: Exchange, request: Request, attempt: str) -> None:
        """Until the first delta a refusal has its own status; after it, a fault breaks the
        connection off, which the front takes for a loss. It is computed under the attempt's name:
        the one before may still be running here when its connection broke."""
        backend = self._service.backend
        renamed = msgspec.structs.replace(request, request_id=RequestId(attempt))
        stream = cast("AsyncGenerator[TokenDelta, None]", backend.submit(renamed))
        async with aclosing(stream) as deltas:
            async for computed in deltas:
                delta = msgspec.structs.replace(computed, request_id=request.request_id)
                if not exchange.started:
                    await exchange.start(200, [*_HEADERS, _version()])
                await exchange.write(frames.encode(frames.Deltas([delta], backend.load)))
        await exchange.finish()


class Report:
    def __init__(self, front: Front, service: Service, gate: TicketGate, run: str) -> None:
        self._front = front
        self._service = service
        self._gate = gate
        self._run = run

    async def __call__(self, exchange: Exchange) -> None:
        self._gate.take(exchange)
        backend = self._service.backend
        state = self._front.state if self._front.draining else backend.state
        report = ReplicaReport(
            model=self._service.name,
            state=state.value,
            load=backend.load,
            info=self._info(),
            restarts=backend.num_restarts,
            run=self._run,
        )
        headers = [(b"content-type", b"application/json"), _version()]
        await exchange.respond(msgspec.json.encode(report), headers=headers)

    def _info(self) -> EngineInfo | None:
        try:
            return self._service.backend.info
        except Loading:
            return None


def sequence(body: bytes) -> Request:
    """The one Submit frame of a body. Raises InvalidRequest."""
    try:
        found = list(frames.FrameReader().feed(body))
    except ProtocolError as error:
        raise InvalidRequest(error.message) from None
    if len(found) != 1 or not isinstance(found[0], frames.Submit):
        raise InvalidRequest("the body must be one frame that submits a sequence")
    return found[0].request


def allowed(request: Request, ticket: Ticket) -> Request:
    """Raises PermissionDenied for anything but what the ticket was written for."""
    if (
        request.tenant != ticket.tenant
        or request.adapter != ticket.adapter
        or request.sampling.max_tokens > ticket.max_tokens
        or not ticket.request_id.startswith(f"{request.request_id}/")
        or ticket.body
    ):
        raise PermissionDenied("the ticket is for another request")
    return request


def _version() -> tuple[bytes, bytes]:
    return VERSION_HEADER.encode(), MINE.encode()
