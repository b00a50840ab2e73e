"""GET /v1/models and /v1/models/{model} for those who come with Anthropic's header."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

import msgspec

from stoker.api.anthropic.version_gate import HEADER, VersionGate
from stoker.api.dispatch import Endpoint
from stoker.api.exchange import Exchange
from stoker.api.front import Front
from stoker.gateway.routes import Route


class AnthropicModel(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    type: Literal["model"] = "model"
    display_name: str
    created_at: str
    lifecycle: Literal["active"] = "active"


class AnthropicModels(msgspec.Struct, frozen=True, kw_only=True):
    data: list[AnthropicModel]
    first_id: str | None
    last_id: str | None
    has_more: bool = False


class ByInterface:
    """One path of two interfaces: a header tells who asks."""

    def __init__(self, openai: Endpoint, anthropic: Endpoint) -> None:
        self._openai = openai
        self._anthropic = VersionGate(anthropic)

    async def __call__(self, exchange: Exchange) -> None:
        theirs = exchange.headers(HEADER.encode())
        await (self._anthropic if theirs else self._openai)(exchange)


class ListAnthropicModels:
    """Those this client may use, all on one page."""

    def __init__(self, front: Front) -> None:
        self._front = front

    async def __call__(self, exchange: Exchange) -> None:
        visible = self._front.routes.visible(exchange.principal)
        data = [_described(self._front, route) for route in visible]
        ends = (data[0].id, data[-1].id) if data else (None, None)
        await exchange.respond_json(AnthropicModels(data=data, first_id=ends[0], last_id=ends[1]))


class GetAnthropicModel:
    def __init__(self, front: Front) -> None:
        self._front = front

    async def __call__(self, exchange: Exchange) -> None:
        name = exchange.scope["path_params"]["model"]
        route = self._front.routes.resolve(name, exchange.principal)
        await exchange.respond_json(_described(self._front, route))


def _described(front: Front, route: Route) -> AnthropicModel:
    created = datetime.fromtimestamp(front.created, UTC).isoformat()
    return AnthropicModel(id=route.name, display_name=route.name, created_at=created)
