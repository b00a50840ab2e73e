"""What works and is probably not meant: sentences for the log and for `stoker config check`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from stoker.config.exposure import is_loopback
from stoker.config.fleet_schema import RaySection
from stoker.config.schema import Config
from stoker.config.secret_file import exposed


def advice(config: Config, sources: Mapping[str, str], path: Path | None) -> Iterator[str]:
    """`config` is as the sources have it, before secrets are read from files of their own."""
    yield from exposed(config, sources, path)
    yield from _unused(config, sources)
    yield from _unpriced(config)
    yield from _in_the_clear(config)
    yield from _crowded(config)


def _unused(config: Config, sources: Mapping[str, str]) -> Iterator[str]:
    if config.models:
        for key in ("model.name", "model.served_name", "model.draft", "model.quantize"):
            if sources.get(key, "").startswith("file "):
                yield f"{key} does nothing beside [[models]]"
    used = {target.backend for route in config.routes for target in route.targets}
    folded = {name.casefold() for name in used if name}
    for number, backend in enumerate(config.backends):
        if backend.name.casefold() not in folded:
            yield f"backends[{number}] '{backend.name}' is the target of no route"
    with_key = {key.tenant.casefold() for key in config.keys}
    for number, tenant in enumerate(config.tenants):
        if config.keys and tenant.name.casefold() not in with_key:
            yield f"tenants[{number}] '{tenant.name}' has no key in this file"


def _unpriced(config: Config) -> Iterator[str]:
    """What a tenant with a budget could use for nothing although it is a provider's."""
    if not any(tenant.budget for tenant in config.tenants):
        return
    prices = {backend.name.casefold(): backend.prices for backend in config.backends}
    for number, route in enumerate(config.routes):
        for position, target in enumerate(route.targets):
            model = target.model or route.name
            if target.backend and model not in prices[target.backend.casefold()]:
                yield (
                    f"routes[{number}].targets[{position}]: backend '{target.backend}' has no "
                    f"price for '{model}', so budgets count it as free"
                )


def _in_the_clear(config: Config) -> Iterator[str]:
    for number, backend in enumerate(config.backends):
        parts = urlsplit(backend.url)
        keyed = backend.api_key is not None or backend.api_key_file
        if keyed and parts.scheme == "http" and not is_loopback(parts.hostname or ""):
            yield f"backends[{number}].url: its key is sent without encryption; use https"


def _crowded(config: Config) -> Iterator[str]:
    """Replicas that would use more of a node than they ask Ray for."""
    threads = config.engine.threads
    for number, model in enumerate(config.models):
        cpus = (model.ray or RaySection()).cpus
        if model.placer == "ray" and threads > cpus:
            yield (
                f"models[{number}].ray.cpus is {cpus:g} though engine.threads is {threads}: "
                "replicas on one node take each other's time"
            )
