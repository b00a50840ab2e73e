"""A configuration in a few lines: what would be served, by whom, to whom."""

from __future__ import annotations

from collections.abc import Iterator

from stoker.config import served
from stoker.config.fleet_schema import BackendEntry, ModelEntry, RouteEntry, TenantEntry
from stoker.config.redaction import without_password
from stoker.config.schema import Config


def summary(config: Config) -> Iterator[str]:
    """One line for each address, model, route, backend and tenant. Holds no secret."""
    yield f"listens on {config.server.host}:{config.server.port}, {_access(config)}"
    yield from (_model(model) for model in served.models(config))
    yield from (_route(route) for route in config.routes)
    yield from (_backend(backend) for backend in config.backends)
    yield from (_tenant(tenant, config) for tenant in config.tenants)


def _access(config: Config) -> str:
    if config.keys:
        return f"open to {_count(len(config.keys), 'key')}"
    return "open to one key" if config.server.api_key else "open to everybody on this machine"


def _model(model: ModelEntry) -> str:
    source = f" ({model.source})" if model.source not in ("", model.name) else ""
    quantized = f", quantised to {model.quantize}" if model.quantize else ""
    return f"model {model.name}{source}: {_replicas(model)}, {model.placer}{quantized}"


def _replicas(model: ModelEntry) -> str:
    scale = model.autoscale
    if scale is not None:
        return f"{scale.minimum} to {_count(scale.maximum, 'replica')}"
    return _count(len(model.urls) or model.replicas, "address" if model.urls else "replica")


def _route(route: RouteEntry) -> str:
    targets = [
        f"{target.model or route.name} at {target.backend}" if target.backend else target.model
        for target in route.targets
    ]
    return f"route {route.name}: {', else '.join(str(target) for target in targets)}"


def _backend(backend: BackendEntry) -> str:
    private = ", private" if backend.private else ""
    return f"backend {backend.name}: {backend.dialect} at {without_password(backend.url)}{private}"


def _tenant(tenant: TenantEntry, config: Config) -> str:
    limits = [
        f"{number:,} {words}"
        for number, words in (
            (tenant.requests_per_minute, "requests a minute"),
            (tenant.tokens_per_minute, "tokens a minute"),
            (tenant.concurrency, "at once"),
        )
        if number
    ]
    if tenant.budget:
        every = "ever" if tenant.budget_window == "ever" else f"a {tenant.budget_window}"
        limits.append(f"{tenant.budget:,.2f} {every}")
    if tenant.privacy == "local":
        limits.append("never leaves")
    keys = sum(key.tenant.casefold() == tenant.name.casefold() for key in config.keys)
    return f"tenant {tenant.name}: {', '.join([tenant.band, *limits, _count(keys, 'key')])}"


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" + ("" if number == 1 else "es" if thing.endswith("s") else "s")
