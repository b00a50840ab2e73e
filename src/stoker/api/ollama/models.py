"""What is served, as Ollama's clients ask for it: /api/tags, /api/ps, /api/show, /api/version."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from stoker.api.dispatch import resolve_tagged
from stoker.api.exchange import Exchange
from stoker.api.front import Front
from stoker.api.service import Service
from stoker.engine.interface import EngineInfo
from stoker.errors import InvalidRequest, Loading
from stoker.gateway.routes import OwnTarget, Route

INTERFACE = "0.12.11"
"""The release of Ollama whose interface this is: clients refuse ones they find too old."""
FOREVER = "2100-01-01T00:00:00+00:00"


class ModelDetails(msgspec.Struct, frozen=True):
    """Empty where it is not known here."""

    parent_model: str = ""
    format: str = ""
    family: str = ""
    families: list[str] = []
    parameter_size: str = ""
    quantization_level: str = ""


class OllamaModel(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    model: str
    modified_at: str
    size: int
    """Of the weights in bytes; 0 while it loads, and for models of other servers."""
    digest: str = ""
    details: ModelDetails = ModelDetails()
    size_vram: int = 0
    expires_at: str = FOREVER
    context_length: int


class OllamaModels(msgspec.Struct, frozen=True):
    models: list[OllamaModel]


class ShowRequest(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    model: str | None = None
    name: str | None = None
    """The older word for it."""
    verbose: bool | None = None


class ShownModel(msgspec.Struct, frozen=True, kw_only=True):
    modified_at: str
    details: ModelDetails = ModelDetails()
    model_info: dict[str, Any]
    capabilities: list[str]
    template: str = ""
    parameters: str = ""
    license: str = ""
    modelfile: str = ""


class OllamaVersion(msgspec.Struct, frozen=True):
    version: str


class Tags:
    """Those this client may use; they are all loaded, so that /api/ps says the same."""

    def __init__(self, front: Front) -> None:
        self._front = front

    async def __call__(self, exchange: Exchange) -> None:
        visible = self._front.routes.visible(exchange.principal)
        await exchange.respond_json(OllamaModels([_listed(self._front, one) for one in visible]))


class Show:
    def __init__(self, front: Front) -> None:
        self._front = front

    async def __call__(self, exchange: Exchange) -> None:
        body = await self._front.off_loop.read(exchange, ShowRequest)
        name = body.model or body.name
        if not name:
            raise InvalidRequest("'model' is required", param="model")
        route = resolve_tagged(self._front, name, exchange)
        info = _info(self._front, route)
        about: dict[str, Any] = {"general.architecture": "stoker"}
        if info is not None:
            about["stoker.context_length"] = info.max_context
        shown = ShownModel(
            modified_at=_when(self._front),
            model_info=about,
            capabilities=_capabilities(self._front, route),
        )
        await exchange.respond_json(shown)


async def version(exchange: Exchange) -> None:
    await exchange.respond_json(OllamaVersion(INTERFACE))


def _listed(front: Front, route: Route) -> OllamaModel:
    info = _info(front, route)
    return OllamaModel(
        name=route.name,
        model=route.name,
        modified_at=_when(front),
        size=info.weight_bytes if info is not None else 0,
        context_length=info.max_context if info is not None else 0,
    )


def _capabilities(front: Front, route: Route) -> list[str]:
    service = _service(front, route)
    protocol = service.text.protocol if service else None
    if protocol is None:
        return ["completion"]
    return ["completion", "tools", *(["thinking"] if protocol.form.reasoning else [])]


def _info(front: Front, route: Route) -> EngineInfo | None:
    service = _service(front, route)
    try:
        return service.backend.info if service else None
    except Loading:
        return None


def _service(front: Front, route: Route) -> Service | None:
    """None where a model of another server answers."""
    first = route.targets[0]
    return front.services[first.model] if isinstance(first, OwnTarget) else None


def _when(front: Front) -> str:
    return datetime.fromtimestamp(front.created, UTC).isoformat()
