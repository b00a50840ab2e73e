"""Names are the same in upper and lower case for people, and spelled one way for the program."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self, TypeVar

import msgspec

from stoker.config import served
from stoker.config.fleet_schema import KeyEntry, RouteEntry, TargetEntry, TenantEntry
from stoker.config.refusal import unknown_name
from stoker.config.schema import Config

replace = msgspec.structs.replace
Entry = TypeVar("Entry", TenantEntry, KeyEntry)


@dataclass(frozen=True, slots=True)
class Names:
    """What a file calls its entries of one kind."""

    kind: str
    """For people, as in 'model or route'."""
    spellings: dict[str, str]

    @classmethod
    def of(cls, kind: str, names: Iterable[str]) -> Self:
        return cls(kind, {name.casefold(): name for name in names})

    def __contains__(self, name: str) -> bool:
        return name.casefold() in self.spellings

    def require(self, where: str, name: str) -> None:
        """Raises ConfigError with the nearest name."""
        if name not in self:
            raise unknown_name(where, name, self.kind, list(self.spellings.values()))

    def spelled(self, name: str) -> str:
        """As the entry itself is."""
        return self.spellings.get(name.casefold(), name)


@dataclass(frozen=True, slots=True)
class AllNames:
    models: Names
    backends: Names
    routes: Names
    tenants: Names
    served: Names
    """What clients may ask for."""

    @classmethod
    def of(cls, config: Config) -> Self:
        return cls(
            Names.of("model", (model.name for model in served.models(config))),
            Names.of("backend", (backend.name for backend in config.backends)),
            Names.of("route", (route.name for route in config.routes)),
            Names.of("tenant", (tenant.name for tenant in config.tenants)),
            Names.of("model or route", served.names(config)),
        )


def respelled(config: Config) -> Config:
    """The same, with every name that refers to an entry spelled as the entry is. So whoever reads
    the configuration compares names as they are. `config` must be sound."""
    names = AllNames.of(config)
    return replace(
        config,
        routes=tuple(_route(route, names) for route in config.routes),
        tenants=tuple(_models(tenant, names) for tenant in config.tenants),
        keys=tuple(
            _models(replace(key, tenant=names.tenants.spelled(key.tenant)), names)
            for key in config.keys
        ),
    )


def _route(route: RouteEntry, names: AllNames) -> RouteEntry:
    return replace(route, targets=tuple(_target(target, names) for target in route.targets))


def _target(target: TargetEntry, names: AllNames) -> TargetEntry:
    if target.backend is not None:  # its model is a name elsewhere, where case may matter
        return replace(target, backend=names.backends.spelled(target.backend))
    return replace(target, model=names.models.spelled(target.model or ""))


def _models(entry: Entry, names: AllNames) -> Entry:
    return replace(entry, models=tuple(map(names.served.spelled, entry.models)))
