"""Texts of one request, and the vector or the labels that the model makes of each."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import cast

import msgspec
import numpy as np
from numpy.typing import NDArray

from stoker.api.answer import ENGINE_MARGIN
from stoker.api.assembler import finish_reason
from stoker.api.exchange import Exchange
from stoker.api.openai.job import SESSION_HEADER, SESSION_LENGTH, seconds_left
from stoker.api.service import Service
from stoker.core.ids import RequestId, TokenId
from stoker.core.output import TokenDelta
from stoker.core.pooling import Pooling
from stoker.core.request import Request
from stoker.core.sampling import SamplingParams
from stoker.errors import DeadlineExceeded, ReplicaLost
from stoker.gateway.admission import Demand
from stoker.gateway.usage import Usage

Vector = NDArray[np.float32]


class Text(msgspec.Struct, frozen=True):
    token_ids: tuple[TokenId, ...]
    second_part: int | None = None
    """Where the second text of a pair begins."""


class Vectors:
    """Of one request. `usage` counts what was computed, also when it fails."""

    def __init__(
        self, exchange: Exchange, service: Service, texts: Sequence[Text], pooling: Pooling
    ) -> None:
        self._exchange = exchange
        self._service = service
        self._texts = texts
        self._pooling = pooling
        self._seconds = seconds_left(exchange, service)
        self._abreast = asyncio.Semaphore(self._width)
        self.usage = Usage()

    @property
    def num_tokens(self) -> int:
        return sum(len(text.token_ids) for text in self._texts)

    async def compute(self) -> list[Vector]:
        """Parallel to the texts. Raises CapacityError, ServingError and RequestError."""
        try:
            async with asyncio.timeout(self._seconds + ENGINE_MARGIN):
                return await self._admitted()
        except TimeoutError:
            raise DeadlineExceeded("the engine is late") from None

    async def _admitted(self) -> list[Vector]:
        service = self._service
        async with service.admission.admit(self._demand, service.line) as admitted:
            try:
                vectors = await self._all()
                admitted.outcome = "stop"
            finally:
                admitted.usage = self.usage
            return vectors

    async def _all(self) -> list[Vector]:
        tasks = [asyncio.create_task(self._one(i, text)) for i, text in enumerate(self._texts)]
        try:
            return await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _one(self, index: int, text: Text) -> Vector:
        service = self._service
        async with self._abreast:
            timing = service.metrics.sequence(service.clock.monotonic())
            request = self._request(index, text)
            submitted = cast("AsyncGenerator[TokenDelta, None]", service.backend.submit(request))
            try:
                async with aclosing(submitted) as deltas:
                    async for delta in deltas:
                        self._count(text, delta)
                        if delta.finish is not None:
                            reason = finish_reason(delta.finish)
                            timing.ended(service.clock.monotonic(), reason)
                            return np.frombuffer(delta.pooled, dtype="<f4")
            finally:
                timing.abandoned(service.clock.monotonic())
        raise ReplicaLost("the stream ended without an ending")

    def _count(self, text: Text, delta: TokenDelta) -> None:
        new = len(text.token_ids) if delta.finish is not None else 0
        self.usage = Usage(
            input_tokens=self.usage.input_tokens + new,
            cached_tokens=self.usage.cached_tokens + delta.num_cached_tokens,
        )

    def _request(self, index: int, text: Text) -> Request:
        exchange, tenant = self._exchange, self._exchange.principal.tenant
        return Request(
            request_id=RequestId(f"{exchange.request_id}-{index}"),
            prompt_token_ids=text.token_ids,
            sampling=SamplingParams(max_tokens=1),
            pooling=self._pooling,
            second_part=text.second_part,
            adapter=exchange.adapter_key,
            timeout=seconds_left(exchange, self._service),
            tenant=tenant.name,
            priority=int(tenant.band),
            session=(exchange.header(SESSION_HEADER) or "")[:SESSION_LENGTH],
        )

    @property
    def _width(self) -> int:
        """Texts at the engine at once: a step's worth waits while another is computed."""
        return max(1, min(2 * self._service.backend.info.max_running, len(self._texts)))

    @property
    def _demand(self) -> Demand:
        return Demand(
            request_id=self._exchange.request_id,
            visit=self._exchange.visit,
            principal=self._exchange.principal,
            model=self._service.name,
            price=self._service.price,
            input_tokens=self.num_tokens,
            output_tokens=0,
            seconds=self._seconds,
            sequences=self._width,
        )


def normalised(vector: Vector) -> Vector:
    """Of length one; zero stays as it is."""
    length = float(np.linalg.norm(vector.astype(np.float64)))
    return vector if length == 0.0 else (vector / length).astype(np.float32)
