"""Answers a request for text on any surface; from here on no two surfaces differ."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic

from stoker.api.dispatch import Endpoint
from stoker.api.exchange import Exchange
from stoker.api.openai.chat import plan_chat
from stoker.api.openai.chat_schema import ChatRequest
from stoker.api.openai.completions import plan_text
from stoker.api.openai.fields import refuse_unsupported
from stoker.api.plan import Plan
from stoker.api.service import Service
from stoker.api.surface import Asked, Body, Surface, spelled


class SurfaceEndpoint(Generic[Body]):
    """For one model of ours."""

    def __init__(self, surface: Surface[Body], service: Service) -> None:
        self._surface = surface
        self._service = service

    async def __call__(self, exchange: Exchange) -> None:
        surface, service = self._surface, self._service
        body = await service.off_loop.read(exchange, surface.record)
        refuse_unsupported(body)
        asked = await service.off_loop.run(
            exchange.body_size, lambda: surface.asked(body, service.limits)
        )
        with spelled(surface.names):
            plan = await planned(exchange, service, asked)
        shape = surface.shape(body, plan)
        await service.answering.answer(plan, shape, streamed=bool(asked.request.stream))


def on(surface: Surface[Body]) -> Callable[[Service], Endpoint]:
    return lambda service: SurfaceEndpoint(surface, service)


async def planned(exchange: Exchange, service: Service, asked: Asked) -> Plan:
    """Raises RequestError, Loading and DeadlineExceeded."""
    if isinstance(asked.request, ChatRequest):
        return await plan_chat(exchange, service, asked, asked.request)
    return await plan_text(exchange, service, asked.request, asked.default_tokens)
