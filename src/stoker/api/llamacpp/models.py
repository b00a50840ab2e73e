"""GET /models of llama.cpp's server: each model once, with every name it answers to."""

from __future__ import annotations

from typing import Literal

import msgspec

from stoker.api.exchange import Exchange
from stoker.api.front import Front
from stoker.api.openai.models import describe
from stoker.gateway.routes import Route, Target


class NamedModel(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    """The name that the model was given; the first, where another server has it."""
    aliases: list[str]
    """All names, `id` among them."""
    tags: list[str] = []
    object: Literal["model"] = "model"
    created: int
    owned_by: str
    max_model_len: int | None


class NamedModels(msgspec.Struct, frozen=True, kw_only=True):
    object: Literal["list"] = "list"
    data: list[NamedModel]


class ListNamedModels:
    """Those this client may use."""

    def __init__(self, front: Front) -> None:
        self._front = front

    async def __call__(self, exchange: Exchange) -> None:
        alike: dict[tuple[Target, ...], list[Route]] = {}
        for route in self._front.routes.visible(exchange.principal):
            alike.setdefault(route.targets, []).append(route)
        await exchange.respond_json(NamedModels(data=[self._named(r) for r in alike.values()]))

    def _named(self, routes: list[Route]) -> NamedModel:
        names = [route.name for route in routes]
        own = next((route for route in routes if route.name == route.targets[0].model), routes[0])
        one = describe(self._front, own)
        return NamedModel(
            id=one.id,
            aliases=names,
            created=one.created,
            owned_by=one.owned_by,
            max_model_len=one.max_model_len,
        )
