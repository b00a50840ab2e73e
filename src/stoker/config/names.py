"""Names stand once and refer to something: models, backends, routes, tenants, keys."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from stoker.config import served
from stoker.config.fleet_schema import KeyEntry, RouteEntry, TargetEntry, TenantEntry
from stoker.config.refusal import contradiction, repeated, unknown_name
from stoker.config.schema import Config


def check_names(config: Config) -> None:
    """Raises ConfigError for two entries of one name, or two keys of one digest."""
    _check_unique("models", "name", (entry.name for entry in config.models))
    _check_unique("backends", "name", (entry.name for entry in config.backends))
    _check_unique("routes", "name", (entry.name for entry in config.routes))
    _check_unique("tenants", "name", (entry.name for entry in config.tenants))
    _check_unique("keys", "id", (entry.id for entry in config.keys))
    seen: dict[str, str] = {}
    for number, key in enumerate(config.keys):
        where = f"keys[{number}].digest"
        first = seen.setdefault(key.digest, where)
        if first != where:
            raise contradiction(
                where, f"is that of {first}", "One key belongs to one entry; make another."
            )


def _check_unique(section: str, field: str, names: Iterable[str]) -> None:
    seen: dict[str, str] = {}
    for number, name in enumerate(names):
        where = f"{section}[{number}].{field}"
        first = seen.setdefault(name.casefold(), where)
        if first != where:
            raise repeated(where, first, name)


def check_references(config: Config) -> None:
    """Raises ConfigError for a name that nothing in the file has."""
    for number, route in enumerate(config.routes):
        _check_route(config, f"routes[{number}]", route)
    known = served.names(config)
    for number, tenant in enumerate(config.tenants):
        _check_models(f"tenants[{number}]", tenant, known)
    tenants = {tenant.name.casefold(): tenant for tenant in config.tenants}
    for number, key in enumerate(config.keys):
        _check_key(f"keys[{number}]", key, tenants, known)


def _check_route(config: Config, where: str, route: RouteEntry) -> None:
    if not route.targets:
        raise contradiction(
            f"{where}.targets", "is empty", "Name at least one model or backend that may answer."
        )
    seen: dict[TargetEntry, str] = {}
    for number, target in enumerate(route.targets):
        place = f"{where}.targets[{number}]"
        first = seen.setdefault(target, place)
        if first != place:
            raise contradiction(place, f"is {first} again", "A target is tried once; leave it out.")
        _check_target(config, place, route, target)


def _check_target(config: Config, where: str, route: RouteEntry, target: TargetEntry) -> None:
    if target.backend is not None:
        backends = [backend.name for backend in config.backends]
        _check_known(f"{where}.backend", target.backend, "backend", backends)
        return
    if target.model is None:
        raise contradiction(
            where, "names neither a model nor a backend", "Write model = NAME or backend = NAME."
        )
    models = [model.name for model in served.models(config)]
    routes = {other.name.casefold() for other in config.routes}
    wanted = target.model.casefold()
    if wanted in routes and wanted not in map(str.casefold, models):
        itself = " itself" if wanted == route.name.casefold() else f" '{target.model}'"
        raise contradiction(
            f"{where}.model",
            f"is the route{itself}",
            "Routes lead to models and backends, never to routes: name those.",
        )
    _check_known(f"{where}.model", target.model, "model", models)


def _check_models(where: str, entry: TenantEntry | KeyEntry, known: list[str]) -> None:
    for number, name in enumerate(entry.models):
        _check_known(f"{where}.models[{number}]", name, "model or route", known)


def _check_key(
    where: str, key: KeyEntry, tenants: Mapping[str, TenantEntry], known: list[str]
) -> None:
    names = [tenant.name for tenant in tenants.values()]
    _check_known(f"{where}.tenant", key.tenant, "tenant", names)
    _check_models(where, key, known)
    tenant = tenants[key.tenant.casefold()]
    allowed = {name.casefold() for name in tenant.models}
    for number, name in enumerate(key.models):
        if allowed and name.casefold() not in allowed:
            raise contradiction(
                f"{where}.models[{number}]",
                f"is '{name}', which tenant '{tenant.name}' may not use",
                f"Add it to the tenant's models ({', '.join(tenant.models)}), or leave it out.",
            )
    if key.expires is not None:
        _check_moment(f"{where}.expires", key.expires)


def _check_moment(where: str, text: str) -> None:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        raise contradiction(
            where, f"is no ISO date or time: '{text[:40]}'", "Write 2030-12-31 or 2030-12-31T23:59."
        ) from None


def _check_known(where: str, name: str, kind: str, known: list[str]) -> None:
    if name.casefold() not in map(str.casefold, known):
        raise unknown_name(where, name, kind, known)
