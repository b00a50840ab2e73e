"""Replicas and who runs them: the one contract behind local processes, other machines, Ray and
Kubernetes."""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from typing import NewType, Protocol, runtime_checkable

import msgspec

from stoker.core.request import Request
from stoker.engine.frames import EngineSettings
from stoker.engine.interface import Backend
from stoker.fleet.replica_protocol import Outcome

ReplicaId = NewType("ReplicaId", str)


class ReplicaState(enum.Enum):
    STARTING = "starting"
    READY = "ready"
    SLEEPING = "sleeping"
    """Weights are kept, keys and values are not; awake again within seconds."""
    UNWELL = "unwell"
    """Not picked until a probe says otherwise."""
    DRAINING = "draining"
    GONE = "gone"


class ReplicaSpec(msgspec.Struct, frozen=True, kw_only=True):
    """All a placer needs to start a replica of a model."""

    model: str
    """Its name for clients."""
    source: str
    """What `stoker serve --replica` is told on another machine."""
    engine: EngineSettings


class HandedOver(Protocol):
    """A request that a replica answers by itself."""

    @property
    def headers(self) -> dict[str, str]:
        """What a proxy needs to take the request there."""
        ...

    async def outcome(self) -> Outcome | None:
        """How it ended. None: nobody will ever know."""
        ...

    def give_up(self) -> None:
        """From now on nobody will ever know."""
        ...

    def came_back(self) -> None:
        """The proxy got nothing from the replica: to the client it never ran."""
        ...

    def note(self) -> None:
        """The outcome is counted. To be called in every case, and last."""
        ...


@runtime_checkable
class AnsweringBackend(Protocol):
    """A backend whose replica can answer clients by itself, behind a proxy."""

    @property
    def address(self) -> str:
        """HOST:PORT for the proxy; empty: it cannot be had there."""
        ...

    def hand_over(self, request: Request, body: str) -> HandedOver:
        """A way in for the client's own request, whose `body_digest` is given. What it may use is
        as in `request`; its `timeout` is not None."""
        ...


class Replica(Protocol):
    @property
    def replica_id(self) -> ReplicaId: ...

    @property
    def state(self) -> ReplicaState: ...

    @property
    def backend(self) -> Backend:
        """Takes requests while READY. Here a stream whose engine dies ends at once with the code
        'replica_lost': carrying it on is up to the pool, which has other replicas."""
        ...

    async def started(self) -> None:
        """Returns once it has been READY; raises why it never can be."""
        ...

    async def sleep(self, grace: float) -> None:
        """Drains it for up to `grace` seconds; it is SLEEPING afterwards, unless it cannot."""
        ...

    async def wake(self) -> None:
        """It is READY again afterwards, unless it was lost. A request wakes it, too."""
        ...


class Placer(Protocol):
    """Starts and stops replicas of one spec. Never starts machines."""

    @property
    def replicas(self) -> Sequence[Replica]:
        """Those there are, whatever their state. GONE ones leave by themselves."""
        ...

    def watch(self, changed: Callable[[], None]) -> None:
        """`changed` is called whenever a replica's state changed, or there is another one."""
        ...

    async def open(self, count: int) -> None:
        """Brings up the first `count` replicas and returns when one has been READY. Raises why none
        can be."""
        ...

    def start(self) -> Replica:
        """Begins one more; it is STARTING. Raises NoCapacity when there is no room for it."""
        ...

    async def stop(self, replica_id: ReplicaId, grace: float) -> None:
        """Drains it for up to `grace` seconds, then ends it."""
        ...

    async def close(self) -> None:
        """Ends all of them at once. Safe to call twice."""
        ...
