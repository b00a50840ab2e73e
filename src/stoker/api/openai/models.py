"""GET /v1/models and GET /v1/models/{model}."""

from __future__ import annotations

from typing import Literal

import msgspec

from stoker.api.exchange import Exchange
from stoker.api.service import Service
from stoker.errors import Loading


class Model(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str = "stoker"
    max_model_len: int | None = None
    """Most tokens of prompt and answer together; null while the model loads."""


class ModelList(msgspec.Struct, frozen=True, kw_only=True):
    object: Literal["list"] = "list"
    data: list[Model]


class ListModels:
    def __init__(self, service: Service) -> None:
        self._service = service

    async def __call__(self, exchange: Exchange) -> None:
        await exchange.respond_json(ModelList(data=[describe(self._service)]))


class GetModel:
    def __init__(self, service: Service) -> None:
        self._service = service

    async def __call__(self, exchange: Exchange) -> None:
        self._service.check_model(exchange.scope["path_params"]["model"])
        await exchange.respond_json(describe(self._service))


def describe(service: Service) -> Model:
    try:
        longest = service.backend.info.max_context
    except Loading:
        longest = None
    return Model(id=service.name, created=service.created, max_model_len=longest)
