"""Which backends may answer to a model's name: ours, a foreign one, or several in order."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from stoker.errors import ModelNotFound, PermissionDenied
from stoker.gateway.tenant import Principal, Privacy

SHOWN = 3
"""How many names an error lists."""


class OwnTarget(msgspec.Struct, frozen=True):
    """A model on replicas of ours."""

    model: str
    adapter: str = ""
    """Name of the one that is added to it."""


class ForeignTarget(msgspec.Struct, frozen=True):
    """A model of a server that is not ours."""

    backend: str
    model: str
    private: bool = False
    """What is sent there counts as never having left."""


Target = OwnTarget | ForeignTarget


class Route(msgspec.Struct, frozen=True):
    name: str
    """As clients know it, in the operator's spelling."""
    targets: tuple[Target, ...]
    """The first that can answers."""


class RouteTable:
    """Names are the same in upper and lower case. Immutable: a reload makes a new one."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._routes: Mapping[str, Route] = {route.name.casefold(): route for route in routes}

    def resolve(self, name: str, principal: Principal) -> Route:
        """What may answer this client. Raises ModelNotFound, also for a model that the client may
        not know of, and PermissionDenied when every target would break its privacy."""
        route = self._routes.get(name.casefold())
        if route is None or not principal.may_use(route.name):
            raise ModelNotFound(self._unknown(name, principal), param="model")
        if principal.tenant.privacy is Privacy.ANY:
            return route
        targets = tuple(filter(_stays, route.targets))
        if not targets:
            raise PermissionDenied(
                f"'{route.name}' is answered elsewhere, and this tenant's requests stay here",
                param="model",
                hint="Ask for a model that is served here; GET /v1/models lists them.",
            )
        return Route(route.name, targets)

    def visible(self, principal: Principal) -> list[Route]:
        """Those that `resolve` finds, in the operator's order."""
        return [
            route
            for route in self._routes.values()
            if principal.may_use(route.name)
            and (principal.tenant.privacy is Privacy.ANY or any(map(_stays, route.targets)))
        ]

    def has(self, name: str) -> bool:
        return name.casefold() in self._routes

    def with_route(self, route: Route) -> RouteTable:
        """It stands last."""
        return RouteTable([*self._routes.values(), route])

    def without(self, name: str) -> RouteTable:
        return RouteTable(r for known, r in self._routes.items() if known != name.casefold())

    def _unknown(self, name: str, principal: Principal) -> str:
        names = [route.name for route in self.visible(principal)]
        near = difflib.get_close_matches(name, names, SHOWN) or names[:SHOWN]
        served = " and ".join(f"'{known}'" for known in near)
        verb = "is" if len(near) == 1 else "are"
        return f"the model '{name[:128]}' is not served here" + (
            f"; {served} {verb}" if served else ""
        )


class OneModel(RouteTable):
    """Of a replica: whatever the client called the model, a front has chosen this one."""

    def __init__(self, model: str) -> None:
        super().__init__([own_route(model)])
        self._route = own_route(model)

    def resolve(self, name: str, principal: Principal) -> Route:
        return self._route


def _stays(target: Target) -> bool:
    return isinstance(target, OwnTarget) or target.private


def own_route(name: str) -> Route:
    """A model of ours under its own name."""
    return Route(name, (OwnTarget(name),))


def merged(own: Mapping[str, Iterable[str]], routes: Sequence[Route]) -> RouteTable:
    """Every model of ours with its adapters, each under its own name, unless a route has taken that
    name for itself."""
    taken = {route.name.casefold() for route in routes}
    names = [own_route(model) for model in own]
    names += [Route(name, (OwnTarget(model, name),)) for model in own for name in own[model]]
    return RouteTable([*routes, *(route for route in names if route.name.casefold() not in taken)])
