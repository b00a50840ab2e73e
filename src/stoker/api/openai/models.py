"""GET /v1/models and GET /v1/models/{model}."""

from __future__ import annotations

from typing import Literal

import msgspec

from stoker.api.exchange import Exchange
from stoker.api.front import Front
from stoker.errors import Loading
from stoker.gateway.routes import OwnTarget, Route


class Model(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str = "stoker"
    """Or the name of the backend that answers first."""
    parent: str | None = None
    """Of an adapter: the model it is added to."""
    max_model_len: int | None = None
    """Most tokens of prompt and answer together; null while the model loads, and for models of
    other servers."""


class ModelList(msgspec.Struct, frozen=True, kw_only=True):
    object: Literal["list"] = "list"
    data: list[Model]


class ListModels:
    """Those this client may use."""

    def __init__(self, front: Front) -> None:
        self._front = front

    async def __call__(self, exchange: Exchange) -> None:
        visible = self._front.routes.visible(exchange.principal)
        models = [describe(self._front, route) for route in visible]
        await exchange.respond_json(ModelList(data=models))


class GetModel:
    def __init__(self, front: Front) -> None:
        self._front = front

    async def __call__(self, exchange: Exchange) -> None:
        name = exchange.scope["path_params"]["model"]
        route = self._front.routes.resolve(name, exchange.principal)
        await exchange.respond_json(describe(self._front, route))


def describe(front: Front, route: Route) -> Model:
    first = route.targets[0]
    if not isinstance(first, OwnTarget):
        return Model(id=route.name, created=front.created, owned_by=first.backend)
    service = front.services[first.model]
    try:
        longest = service.backend.info.max_context
    except Loading:
        longest = None
    return Model(
        id=route.name,
        created=service.created,
        parent=service.name if first.adapter else None,
        max_model_len=longest,
    )
