"""One path for every model: the body's `model` says who answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import msgspec

from stoker.api.exchange import Exchange
from stoker.api.front import Front
from stoker.api.service import Service
from stoker.errors import (
    CapacityError,
    InvalidRequest,
    ModelNotFound,
    RateLimitExceeded,
    StokerError,
    UnsupportedConstraint,
)
from stoker.gateway.routes import ForeignTarget, OwnTarget, Route, Target

LATEST = ":latest"
Endpoint = Callable[[Exchange], Awaitable[None]]


class Named(msgspec.Struct, frozen=True):
    """What dispatching needs of a body; whoever answers reads the rest."""

    model: str


class MaybeNamed(msgspec.Struct, frozen=True):
    """`model` may be left out, or null, as long as one model is served."""

    model: str | None = None


Foreign = Callable[[Exchange, ForeignTarget], Awaitable[None]]


async def only_ours(exchange: Exchange, target: ForeignTarget) -> None:
    """Where a foreign backend cannot answer."""
    raise UnsupportedConstraint(
        "this can be asked only of models on this server",
        param="model",
        hint="GET /v1/models lists them: they are owned by stoker.",
    )


class ByModel:
    """Tries a route's targets in order, those that fail of late behind the others. The next one is
    asked when one is full, not ready or lost, as long as the client has been sent nothing."""

    def __init__(
        self, front: Front, own: Callable[[Service], Endpoint], foreign: Foreign = only_ours
    ) -> None:
        self._front = front
        self._own = {name: own(service) for name, service in front.services.items()}
        self._foreign = foreign

    async def __call__(self, exchange: Exchange) -> None:
        self._front.check_accepting()
        route = await self._route(exchange)
        async with self._front.forwarder.routed(route.targets) as targets:
            await self._first_that_can(exchange, targets)

    async def _first_that_can(self, exchange: Exchange, targets: Sequence[Target]) -> None:
        *others, last = targets
        for target in others:
            try:
                await self._answer(exchange, target)
            except StokerError as error:
                if exchange.started or not _elsewhere(error):
                    raise
            else:
                return
        await self._answer(exchange, last)

    async def _route(self, exchange: Exchange) -> Route:
        named = await self._front.off_loop.read(exchange, MaybeNamed)
        return resolve_only(self._front, named.model, exchange)

    async def _answer(self, exchange: Exchange, target: Target) -> None:
        if isinstance(target, OwnTarget):
            service = self._front.services[target.model]
            with service.adapters.using(target.adapter or exchange.wanted_adapter) as adapter:
                exchange.adapter = adapter
                await self._own[target.model](exchange)
        else:
            await self._foreign(exchange, target)


class ByTaggedModel(ByModel):
    """Where a name without a tag has the tag `latest`."""

    async def _route(self, exchange: Exchange) -> Route:
        named = await self._front.off_loop.read(exchange, Named)
        return resolve_tagged(self._front, named.model, exchange)


def resolve_only(front: Front, name: str | None, exchange: Exchange) -> Route:
    """Raises ModelNotFound, PermissionDenied, and InvalidRequest where the name is left out
    though there are several. Nobody gets an adapter without naming it."""
    if name is not None:
        return front.routes.resolve(name, exchange.principal)
    visible = [r for r in front.routes.visible(exchange.principal) if not _adapted(r)]
    if len({route.targets for route in visible}) != 1:  # one may have several names
        raise InvalidRequest("several models are served: name one", param="model")
    return front.routes.resolve(visible[0].name, exchange.principal)


def _adapted(route: Route) -> bool:
    return any(isinstance(target, OwnTarget) and target.adapter for target in route.targets)


def resolve_tagged(front: Front, name: str, exchange: Exchange) -> Route:
    """Raises ModelNotFound and PermissionDenied."""
    try:
        return front.routes.resolve(name, exchange.principal)
    except ModelNotFound:
        plain = name.removesuffix(LATEST)
        if plain == name:
            raise
        return front.routes.resolve(plain, exchange.principal)


def _elsewhere(error: StokerError) -> bool:
    """Whether another target may well do better. A tenant's limits are the same everywhere."""
    if isinstance(error, RateLimitExceeded):
        return False
    return isinstance(error, CapacityError) or error.status >= 500
