"""Names stand once and refer to something: models, backends, routes, tenants, keys."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from stoker.config import served
from stoker.config.adapter_entries import adapter_entries
from stoker.config.fleet_schema import KeyEntry, RouteEntry, TargetEntry, TenantEntry
from stoker.config.redaction import plain
from stoker.config.refusal import contradiction, repeated
from stoker.config.schema import Config
from stoker.config.spelling import AllNames


def check_names(config: Config) -> None:
    """Raises ConfigError for two entries of one name, or two keys of one digest."""
    _check_unique("models", "name", (entry.name for entry in config.models))
    _check_adapters(config)
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


def _check_adapters(config: Config) -> None:
    """One answers to its name, so that is neither a model's nor another adapter's."""
    own = served.models(config)
    seen = {model.name.casefold() for model in own}
    for model in own:
        for name, _ in adapter_entries(model):
            if name.casefold() in seen:
                raise contradiction(
                    f"the adapters of '{model.name}'",
                    f"have '{name}', which is a model's or another adapter's name",
                    "Give it another one.",
                )
            seen.add(name.casefold())


def _check_unique(section: str, field: str, names: Iterable[str]) -> None:
    seen: dict[str, str] = {}
    for number, name in enumerate(names):
        where = f"{section}[{number}].{field}"
        first = seen.setdefault(name.casefold(), where)
        if first != where:
            raise repeated(where, first, name)


def check_references(config: Config) -> None:
    """Raises ConfigError for a name that nothing in the file has."""
    names = AllNames.of(config)
    for number, route in enumerate(config.routes):
        _check_route(f"routes[{number}]", route, names)
    for number, tenant in enumerate(config.tenants):
        _check_models(f"tenants[{number}]", tenant, names)
    tenants = {tenant.name.casefold(): tenant for tenant in config.tenants}
    for number, key in enumerate(config.keys):
        where = f"keys[{number}]"
        names.tenants.require(f"{where}.tenant", key.tenant)
        _check_models(where, key, names)
        _check_allowed(where, key, tenants[key.tenant.casefold()])
        if key.expires is not None:
            _check_moment(f"{where}.expires", key.expires)


def _check_route(where: str, route: RouteEntry, names: AllNames) -> None:
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
        _check_target(place, route, target, names)


def _check_target(where: str, route: RouteEntry, target: TargetEntry, names: AllNames) -> None:
    if target.backend is not None:
        names.backends.require(f"{where}.backend", target.backend)
        return
    if target.model is None:
        raise contradiction(
            where, "names neither a model nor a backend", "Write model = NAME or backend = NAME."
        )
    if target.model in names.routes and target.model not in names.models:
        itself = target.model.casefold() == route.name.casefold()
        raise contradiction(
            f"{where}.model",
            "is the route itself" if itself else f"is the route '{target.model}'",
            "Routes lead to models and backends, never to routes: name those.",
        )
    names.models.require(f"{where}.model", target.model)


def _check_models(where: str, entry: TenantEntry | KeyEntry, names: AllNames) -> None:
    for number, name in enumerate(entry.models):
        names.served.require(f"{where}.models[{number}]", name)


def _check_allowed(where: str, key: KeyEntry, tenant: TenantEntry) -> None:
    """A key may do no more than its tenant."""
    allowed = {name.casefold() for name in tenant.models}
    for number, name in enumerate(key.models):
        if allowed and name.casefold() not in allowed:
            raise contradiction(
                f"{where}.models[{number}]",
                f"is '{name}', which tenant '{tenant.name}' may not use",
                f"Add it to the tenant's models ({', '.join(tenant.models)}), or leave it out.",
            )


def _check_moment(where: str, text: str) -> None:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        raise contradiction(
            where,
            f"is no ISO date or time: '{plain(text)}'",
            "Write 2030-12-31 or 2030-12-31T23:59.",
        ) from None
