"""A pool of real engine processes over the fake executor, and ways to hurt them."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from stoker.config.fleet_schema import BalanceSection
from stoker.core.clock import Clock, SystemClock
from stoker.engine.adapter_shelf import AdapterShelf
from stoker.engine.frames import EngineSettings
from stoker.fleet.interface import ReplicaSpec, ReplicaState
from stoker.fleet.local import LocalPlacer, LocalReplica
from stoker.fleet.remote_placer import RemotePlacer, Resolve, resolve
from stoker.gateway.balancing import Balancing
from stoker.gateway.pool import ReplicaPool
from tests.support.engine_streams import SLOW, until
from tests.support.server import MODEL


class RunningPool:
    def __init__(self, pool: ReplicaPool, placer: LocalPlacer) -> None:
        self.pool = pool
        self.placer = placer

    @property
    def replicas(self) -> list[LocalReplica]:
        return [one for one in self.placer.replicas if isinstance(one, LocalReplica)]

    def ready(self) -> int:
        return sum(one.state is ReplicaState.READY for one in self.replicas)

    def kill(self, index: int, how: int = signal.SIGKILL) -> None:
        pid = self.replicas[index].backend.pid
        assert pid is not None
        os.kill(pid, how)


@asynccontextmanager
async def remote_pool(
    urls: Sequence[str], key: bytes, clock: Clock | None = None, look_up: Resolve = resolve
) -> AsyncIterator[ReplicaPool]:
    """Over replicas that run already; one is ready."""
    clock = clock or SystemClock()
    placer = RemotePlacer(urls, MODEL, key, clock, look_up)
    pool = ReplicaPool(placer, Balancing(BalanceSection(policy="least_loaded")), clock)
    try:
        await pool.start()
        yield pool
    finally:
        await pool.close()


def ready(pool: ReplicaPool) -> int:
    return sum(one.state is ReplicaState.READY for one in pool.replicas)


@asynccontextmanager
async def running_pool(
    count: int = 2,
    engine: EngineSettings = SLOW,
    max_restarts: int = 100,
    balancing: Balancing | None = None,
    stuck_after: float = 10.0,
    clock: Clock | None = None,
    adapters: AdapterShelf | None = None,
) -> AsyncIterator[RunningPool]:
    clock = clock or SystemClock()
    spec = ReplicaSpec(model="tiny", source="", engine=engine)
    placer = LocalPlacer(
        spec,
        clock,
        expected=count,
        max_restarts=max_restarts,
        stuck_after=stuck_after,
        adapters=adapters,
    )
    least_loaded = Balancing(BalanceSection(policy="least_loaded"))
    pool = ReplicaPool(placer, balancing or least_loaded, clock)
    running = RunningPool(pool, placer)
    try:
        await pool.start(count)
        await until(lambda: running.ready() == count)
        yield running
    finally:
        await pool.close()
