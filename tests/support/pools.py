"""A pool of real engine processes over the fake executor, and ways to hurt them."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from stoker.config.fleet_schema import BalanceSection
from stoker.core.clock import SystemClock
from stoker.engine.frames import EngineSettings
from stoker.fleet.interface import ReplicaSpec, ReplicaState
from stoker.fleet.local import LocalPlacer, LocalReplica
from stoker.gateway.balancing import Balancing
from stoker.gateway.pool import ReplicaPool
from tests.support.engine_streams import SLOW, until


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
async def running_pool(
    count: int = 2,
    engine: EngineSettings = SLOW,
    max_restarts: int = 100,
    balancing: Balancing | None = None,
) -> AsyncIterator[RunningPool]:
    clock = SystemClock()
    spec = ReplicaSpec(model="tiny", source="", engine=engine)
    placer = LocalPlacer(spec, clock, expected=count, max_restarts=max_restarts)
    least_loaded = Balancing(BalanceSection(policy="least_loaded"))
    pool = ReplicaPool(placer, balancing or least_loaded, clock)
    running = RunningPool(pool, placer)
    try:
        await pool.start(count)
        await until(lambda: running.ready() == count)
        yield running
    finally:
        await pool.close()
