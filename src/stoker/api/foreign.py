"""A request that a foreign backend answers: read, admitted, forwarded, billed as it was used."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from stoker.api.exchange import Exchange
from stoker.api.failure import as_stoker_error
from stoker.api.foreign_request import ForeignRequest, read_question
from stoker.api.front import Front
from stoker.api.openai.job import time_left
from stoker.api.sse import SILENCE_SECONDS, EventStream, one_line
from stoker.core.clock import Clock, SystemClock
from stoker.errors import DeadlineExceeded
from stoker.gateway.admission import Admitted, Demand
from stoker.gateway.line import NoLine
from stoker.gateway.routes import ForeignTarget
from stoker.gateway.tenant import TenantLimits
from stoker.gateway.upstream.question import Question, Surface
from stoker.gateway.upstream.tally import Tally


class ForeignAnswers:
    """For one surface. Implements dispatch.Foreign."""

    def __init__(self, front: Front, surface: Surface, clock: Clock | None = None) -> None:
        self._front = front
        self._surface = surface
        self._clock = clock or SystemClock()

    async def __call__(self, exchange: Exchange, target: ForeignTarget) -> None:
        front = self._front
        request = await read_question(exchange, front, self._surface)
        seconds = time_left(exchange, front.limits, self._clock.monotonic())
        demand = self._demand(exchange, target, request, seconds)
        answer = _Answer(exchange, front, target, request, demand)
        if request.question.stream:
            with front.metrics.open_streams.track_inprogress():
                await exchange.while_connected(answer.streamed(), answer.keep_alive)
        else:
            await exchange.while_connected(answer.whole())

    def _demand(
        self, exchange: Exchange, target: ForeignTarget, request: ForeignRequest, seconds: float
    ) -> Demand:
        return Demand(
            request_id=exchange.request_id,
            visit=exchange.visit,
            principal=exchange.principal,
            model=target.model,
            backend=target.backend,
            price=self._front.forwarder.price(target),
            input_tokens=exchange.body_size,
            output_tokens=request.most_tokens,
            seconds=seconds,
        )


class _Answer:
    """Of one backend to one request."""

    def __init__(
        self,
        exchange: Exchange,
        front: Front,
        target: ForeignTarget,
        request: ForeignRequest,
        demand: Demand,
    ) -> None:
        self._exchange = exchange
        self._front = front
        self._target = target
        self._request = request
        self._demand = demand
        self._stream = EventStream(exchange)

    async def keep_alive(self) -> float:
        """Not before the answer has begun: until then another backend may still give it."""
        return await self._stream.keep_alive() if self._exchange.started else SILENCE_SECONDS

    async def whole(self) -> None:
        """Raises StokerError."""
        async with self._in_time(), self._pieces() as pieces:
            body = b"".join([piece async for piece in pieces])
        await self._exchange.respond(body)

    async def streamed(self) -> None:
        """Raises StokerError while nothing was sent; later it is an event."""
        try:
            async with self._in_time(), self._pieces() as pieces:
                async for piece in pieces:
                    await self._stream.write(one_line(piece))
        except Exception as caught:
            if not self._exchange.started:
                raise
            public = as_stoker_error(caught, self._exchange.request_id)
            self._front.metrics.failed(public.code)
            await self._stream.fail(public)
        else:
            await self._stream.finish()

    @asynccontextmanager
    async def _in_time(self) -> AsyncIterator[None]:
        timeout = asyncio.timeout(self._demand.seconds)
        try:
            async with timeout:
                yield
        except TimeoutError:
            if not timeout.expired():
                raise
            raise DeadlineExceeded("the backend did not answer in time") from None

    @asynccontextmanager
    async def _pieces(self) -> AsyncIterator[AsyncIterator[bytes]]:
        """The answer, once the request is admitted; what it used is settled."""
        async with self._front.admission.admit(self._demand, NoLine()) as admitted:
            tally = Tally(self._demand.input_tokens, admitted.output_tokens)
            question = self._granted(admitted)
            try:
                forwarder = self._front.forwarder
                async with forwarder.forward(self._target, question, tally) as pieces:
                    yield pieces
                admitted.outcome = "stop"
            finally:
                admitted.usage = tally.usage

    def _granted(self, admitted: Admitted) -> Question:
        """The question with no more tokens than were granted. Raises BudgetExhausted when that
        leaves one of its answers nothing."""
        limits = self._demand.principal.tenant.limits
        shorter = admitted.output_tokens < self._demand.output_tokens
        if not shorter and (self._request.named or not _counts(limits)):
            return self._request.question
        return self._request.limited(admitted.output_tokens)


def _counts(limits: TenantLimits) -> bool:
    """Whether tokens or money are counted."""
    return bool(limits.tokens_per_minute or limits.budget)
