"""Adapters that come and go while the server runs, under vLLM's names for it. Off unless the
configuration names a folder, and only for keys that are `admin`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import msgspec

from stoker.api.exchange import Exchange
from stoker.api.front import Front
from stoker.api.openai.models import Model, describe
from stoker.api.operation import Operation
from stoker.api.service import Service
from stoker.core.adapter import AdapterSource
from stoker.errors import InvalidRequest, ModelNotFound, PermissionDenied, SetupError
from stoker.gateway.routes import OwnTarget, Route


class LoadAdapterRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    lora_name: str
    lora_path: str
    """A folder below server.adapter_folder."""
    model: str | None = None
    """What it is added to; may be left out where one model is served."""


class UnloadAdapterRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    lora_name: str
    lora_int_id: int | None = None
    """vLLM's clients send it; it means nothing here."""


class Unloaded(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    deleted: bool = True


class LoadAdapter:
    def __init__(self, front: Front) -> None:
        self._front = front

    async def __call__(self, exchange: Exchange) -> None:
        front = self._front
        _check_allowed(front, exchange)
        body = await front.off_loop.read(exchange, LoadAdapterRequest)
        service = self._service(body.model)
        folder = _below(front.adapter_folder, body.lora_path)
        self._refuse_taken(body.lora_name)
        try:
            source = await asyncio.to_thread(service.adapters.open, body.lora_name, folder)
            route = self._add(service, source)
        except SetupError as error:
            raise InvalidRequest(error.message, hint=error.hint) from None
        await exchange.respond_json(describe(front, route))

    def _add(self, service: Service, source: AdapterSource) -> Route:
        self._refuse_taken(source.name)  # again: others may have come while it was read
        service.adapters.add(source)
        route = Route(source.name, (OwnTarget(service.name, source.name),))
        self._front.routes = self._front.routes.with_route(route)
        return route

    def _service(self, model: str | None) -> Service:
        names = [name for name in self._front.services if name in self._front.adaptable]
        wanted = names if model is None else [n for n in names if n.casefold() == model.casefold()]
        if len(wanted) != 1:
            raise InvalidRequest(
                "the model that the adapter is added to is not named, or not on this machine",
                param="model",
                hint="Name a model of ours whose replicas are local processes.",
            )
        return self._front.services[wanted[0]]

    def _refuse_taken(self, name: str) -> None:
        if self._front.routes.has(name):
            raise InvalidRequest(
                "something is served under that name already",
                param="lora_name",
                hint="Choose another, or unload the adapter first.",
            )


class UnloadAdapter:
    """Requests that have it keep it until they end."""

    def __init__(self, front: Front) -> None:
        self._front = front

    async def __call__(self, exchange: Exchange) -> None:
        front = self._front
        _check_allowed(front, exchange)
        body = await front.off_loop.read(exchange, UnloadAdapterRequest)
        for service in front.services.values():
            if body.lora_name in service.adapters.names:
                front.routes = front.routes.without(body.lora_name)
                service.adapters.remove(body.lora_name)
                await exchange.respond_json(Unloaded(id=body.lora_name))
                return
        raise ModelNotFound("no adapter of that name is loaded", param="lora_name")


def adapter_operations(front: Front) -> Sequence[Operation]:
    return [
        Operation(
            "POST", "/v1/load_lora_adapter", "Load a LoRA adapter",
            LoadAdapter(front), LoadAdapterRequest, Model,
        ),
        Operation(
            "POST", "/v1/unload_lora_adapter", "Unload a LoRA adapter",
            UnloadAdapter(front), UnloadAdapterRequest, Unloaded,
        ),
    ]  # fmt: skip


def _check_allowed(front: Front, exchange: Exchange) -> None:
    if not front.adapter_folder:
        raise PermissionDenied(
            "adapters cannot be loaded or unloaded while this server runs",
            hint="The operator can allow it with server.adapter_folder.",
        )
    if not exchange.principal.admin:
        raise PermissionDenied(
            "this key may not load or unload adapters",
            hint="The operator can set admin = true for a key in [[keys]].",
        )


def _below(folder: str, path: str) -> Path:
    """The adapter's folder with every link followed. Raises PermissionDenied outside."""
    try:
        root = Path(folder).resolve()
        found = (root / path).resolve()
    except (OSError, ValueError, RuntimeError):
        raise InvalidRequest("'lora_path' is not a path", param="lora_path") from None
    if not found.is_relative_to(root) or found == root:
        raise PermissionDenied("'lora_path' is not below the folder of adapters", param="lora_path")
    return found
