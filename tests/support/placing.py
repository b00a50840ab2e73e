"""A placer whose replicas are names: they are ready when a test says so, and it may refuse."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Sequence

from stoker.core.clock import ManualClock
from stoker.errors import NoCapacity
from stoker.fleet.autoscaler import Autoscaler, ScalingBounds
from stoker.fleet.controller import Controller, Demand
from stoker.fleet.interface import ReplicaId, ReplicaState


class NamedReplica:
    def __init__(self, replica_id: ReplicaId) -> None:
        self.replica_id = replica_id
        self.state = ReplicaState.STARTING
        self.backend = None
        self.failure: Exception | None = None
        self._started = asyncio.Event()

    def ready(self) -> None:
        self.state = ReplicaState.READY
        self._started.set()

    def fail(self) -> None:
        self.state = ReplicaState.GONE
        self.failure = NoCapacity("it does not start")
        self._started.set()

    async def started(self) -> None:
        await self._started.wait()
        if self.failure is not None:
            raise self.failure

    async def sleep(self, grace: float) -> None:
        self.state = ReplicaState.SLEEPING

    async def wake(self) -> None:
        self.state = ReplicaState.READY


class NamingPlacer:
    def __init__(self, room: int = 100) -> None:
        self.room = room
        self.all: list[NamedReplica] = []
        self.num_starts = 0
        self.stopped: list[ReplicaId] = []
        self._numbers = itertools.count(1)

    @property
    def replicas(self) -> Sequence[NamedReplica]:
        return list(self.all)

    def watch(self, changed: Callable[[], None]) -> None:
        pass

    async def open(self, count: int) -> None:
        for _ in range(count):
            self.start().ready()

    def start(self) -> NamedReplica:
        self.num_starts += 1
        if len(self.all) >= self.room:
            raise NoCapacity("no room")
        replica = NamedReplica(ReplicaId(f"r{next(self._numbers)}"))
        self.all.append(replica)
        return replica

    async def stop(self, replica_id: ReplicaId, grace: float) -> None:
        self.stopped.append(replica_id)
        self.all = [one for one in self.all if one.replica_id != replica_id]

    async def close(self) -> None:
        self.all.clear()

    def all_ready(self) -> None:
        for replica in self.all:
            if replica.state is ReplicaState.STARTING:
                replica.ready()

    def count(self, *states: ReplicaState) -> int:
        return sum(one.state in states for one in self.all)


class Scaled:
    """A controller over such a placer, stepped by hand: two seconds a step."""

    def __init__(self, bounds: ScalingBounds, room: int = 100) -> None:
        self.placer = NamingPlacer(room)
        self.clock = ManualClock()
        self.rate = 0.0
        self.waiting = 0.0
        self.busy: dict[str, int] = {}
        self.controller = Controller(self.placer, Autoscaler(bounds), self, self.clock, grace=1.0)

    def measure(self) -> Demand:
        in_flight = sum(self.busy.values())
        return Demand(arrived_work=2 * self.rate, waiting_work=self.waiting, in_flight=in_flight)

    def in_flight(self, replica_id: ReplicaId) -> int:
        return self.busy.get(replica_id, 0)

    async def run(self, seconds: float, *, starts: bool = True) -> list[int]:
        """The replicas there were at each step."""
        counts = []
        for _ in range(int(seconds / 2)):
            self.controller.step()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            if starts:
                self.placer.all_ready()
                await asyncio.sleep(0)
            counts.append(self.present)
            self.clock.advance(2.0)
        return counts

    @property
    def present(self) -> int:
        return self.placer.count(ReplicaState.STARTING, ReplicaState.READY)
