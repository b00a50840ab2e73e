"""A tenant whose requests stay here must have something here that answers."""

from __future__ import annotations

from stoker.config import served
from stoker.config.fleet_schema import RouteEntry
from stoker.config.refusal import contradiction, listed
from stoker.config.schema import Config


def check_privacy(config: Config) -> None:
    """Raises ConfigError for a private tenant with a model that only others could answer."""
    away = {name.casefold() for name in leaving(config)}
    everything = served.names(config)
    for number, tenant in enumerate(config.tenants):
        if tenant.privacy != "local":
            continue
        where = f"tenants[{number}]"
        for position, name in enumerate(tenant.models):
            if name.casefold() in away:
                raise contradiction(
                    f"{where}.models[{position}]",
                    f"is '{name}', answered only by backends that are not private, and "
                    f"{where}.privacy is local",
                    "Give the route a model of ours, or a backend with private = true.",
                )
        if not tenant.models and len(away) == len(everything):
            raise contradiction(
                f"{where}.privacy",
                f"is local, and all that is served ({listed(everything)}) needs a backend that is "
                "not private",
                "Serve a model of ours, or set private = true on a backend you trust.",
            )


def leaving(config: Config) -> list[str]:
    """Routes of which every target sends requests away."""
    private = {backend.name.casefold() for backend in config.backends if backend.private}
    return [route.name for route in config.routes if _leaves(route, private)]


def _leaves(route: RouteEntry, private: set[str]) -> bool:
    return all(
        target.backend is not None and target.backend.casefold() not in private
        for target in route.targets
    )
