"""Direct mode: the front decides, and the answer goes from a replica through the proxy in front to
the client. The front hears afterwards what was used."""

from __future__ import annotations

import asyncio
import hmac
import logging
from collections.abc import Sequence

from msgspec.structs import replace

from stoker.api.answer import Shape, after, demand_of, limited
from stoker.api.answering import Answering
from stoker.api.exchange import Exchange
from stoker.api.plan import Plan
from stoker.core.ids import RequestId
from stoker.errors import StokerError
from stoker.fleet.replica_protocol import EDGE_HEADER, TICKET_HEADER, Outcome
from stoker.fleet.ticket import body_digest, edge_token
from stoker.gateway.admission import Admitted, Demand
from stoker.gateway.edge_direct import LOCATION
from stoker.gateway.handover import Placed
from stoker.gateway.pool import ReplicaPool
from stoker.gateway.usage import Usage
from stoker.gateway.usage_record import EXPIRED

log = logging.getLogger(__name__)


class Direct:
    """Implements Answering. What cannot go directly is answered by `otherwise`."""

    def __init__(self, keys: Sequence[bytes], otherwise: Answering) -> None:
        """`keys` are those of tickets."""
        self._tokens = [edge_token(key).encode() for key in keys]
        self._otherwise = otherwise
        self._tasks: set[asyncio.Task[None]] = set()
        self._at_replicas: dict[str, _Passage] = {}
        """By ticket."""

    async def answer(self, plan: Plan, shape: Shape, *, streamed: bool) -> None:
        exchange, pool = plan.exchange, plan.service.backend
        through_proxy = self._came_through_proxy(exchange)
        ticket = exchange.header(TICKET_HEADER.encode())
        if through_proxy and ticket is not None:
            await self._came_back(exchange, ticket)
        elif (
            through_proxy
            and isinstance(pool, ReplicaPool)
            and pool.answering
            and len(plan.job.choices) == 1
        ):
            await exchange.while_connected(self._sent(exchange, _Passage(plan, pool)))
            return
        await self._otherwise.answer(plan, shape, streamed=streamed)

    async def close(self) -> None:
        """After the pools: they tell what nobody will ever hear of."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _came_through_proxy(self, exchange: Exchange) -> bool:
        given = exchange.headers(EDGE_HEADER.encode())
        return len(given) == 1 and any(
            hmac.compare_digest(given[0], token) for token in self._tokens
        )

    async def _came_back(self, exchange: Exchange, ticket: str) -> None:
        """The proxy got nothing from the replica. What was reserved for that is settled first, so
        that the tenant's limits are as if it had not been tried."""
        passage = self._at_replicas.get(ticket)
        if passage is not None:
            await passage.came_back()
            exchange.visit = passage.visit

    async def _sent(self, exchange: Exchange, passage: _Passage) -> None:
        task = passage.task
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        try:
            await asyncio.wait((task, passage.way), return_when=asyncio.FIRST_COMPLETED)
            if not passage.way.done():
                await task
            placed = passage.way.result()
            self._remember(passage, placed.headers[TICKET_HEADER])
            headers = {"x-accel-redirect": LOCATION, **placed.headers}
            await exchange.respond(
                b"", headers=[(name.encode(), value.encode()) for name, value in headers.items()]
            )
        finally:
            if not exchange.started:
                task.cancel()  # nobody has its ticket

    def _remember(self, passage: _Passage, ticket: str) -> None:
        self._at_replicas[ticket] = passage
        passage.task.add_done_callback(lambda task: self._at_replicas.pop(ticket, None))

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, StokerError):
            log.error("a defect of ours: %s", type(error).__name__)


class _Passage:
    """One request: admitted, at a replica, settled."""

    def __init__(self, plan: Plan, pool: ReplicaPool) -> None:
        self._plan = plan
        self._pool = pool
        self.visit = plan.exchange.visit
        self.way: asyncio.Future[Placed] = asyncio.get_running_loop().create_future()
        """Done once there is a replica for it."""
        self.task = asyncio.create_task(self._run(), name="direct")
        """Ends when it is settled. Raises StokerError when nobody admits or takes it."""

    async def came_back(self) -> None:
        """Returns when it is settled, as if it had never been at a replica."""
        self.way.result().came_back()
        await asyncio.wait((self.task,))

    async def _run(self) -> None:
        placed: Placed | None = None
        exchange, service = self._plan.exchange, self._plan.service
        began = service.clock.monotonic()
        demand = demand_of(self._plan)
        body = body_digest(exchange.scope["path"], await exchange.read())
        try:
            async with service.admission.admit(demand, service.line) as admitted:
                waited = service.clock.monotonic() - began
                (choice,) = limited(after(self._plan.job.choices, waited), admitted.output_tokens)
                request_id = RequestId(exchange.request_id)
                request = replace(choice.request, request_id=request_id)
                async with self._pool.handed_over(request, body) as placed:
                    self.way.set_result(placed)
                    count(admitted, demand, await placed.outcome())
        finally:
            if placed is not None:
                placed.note()


def count(admitted: Admitted, demand: Demand, outcome: Outcome | None) -> None:
    """In full where nobody knows."""
    if outcome is None:
        log.warning(
            "a replica never said how a request ended", extra={"request_id": demand.request_id}
        )
        admitted.outcome = EXPIRED
        admitted.usage = Usage(
            input_tokens=demand.input_tokens, output_tokens=admitted.output_tokens
        )
        return
    admitted.outcome = outcome.ending
    admitted.usage = Usage(
        input_tokens=outcome.input_tokens,
        cached_tokens=outcome.cached_tokens,
        output_tokens=outcome.output_tokens,
    )
