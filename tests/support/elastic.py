"""A pool of real engine processes that a controller keeps as large as it should be."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from stoker.api.assembly import line_of
from stoker.config.fleet_schema import AutoscaleSection, BalanceSection, QueueSection
from stoker.core.clock import SystemClock
from stoker.engine.frames import EngineSettings
from stoker.fleet.autoscaler import Autoscaler
from stoker.fleet.controller import Controller
from stoker.fleet.interface import ReplicaSpec, ReplicaState
from stoker.fleet.local import LocalPlacer
from stoker.gateway.balancing import Balancing
from stoker.gateway.pool import ReplicaPool
from stoker.gateway.pool_demand import PoolDemand
from tests.support.engine_streams import SLOW

SAMPLE_SECONDS = 0.05


class Elastic:
    def __init__(self, engine: EngineSettings, bounds: AutoscaleSection, grace: float) -> None:
        clock = SystemClock()
        spec = ReplicaSpec(model="tiny", source="", engine=engine)
        self.placer = LocalPlacer(spec, clock, expected=bounds.maximum, max_restarts=100)
        self.pool = ReplicaPool(
            self.placer, Balancing(BalanceSection(policy="least_loaded")), clock
        )
        self.line = line_of(self.pool, QueueSection())
        self.controller = Controller(
            self.placer,
            Autoscaler(bounds),
            PoolDemand(self.line, self.pool),
            clock,
            grace=grace,
            interval=SAMPLE_SECONDS,
        )
        self.pool.when_wanted(self.controller.poke)

    def count(self, *states: ReplicaState) -> int:
        return sum(one.state in states for one in self.placer.replicas)


@asynccontextmanager
async def elastic(
    bounds: AutoscaleSection, engine: EngineSettings = SLOW, grace: float = 5.0
) -> AsyncIterator[Elastic]:
    running = Elastic(engine, bounds, grace)
    control = None
    try:
        await running.pool.start(1)
        control = asyncio.create_task(running.controller.run())
        yield running
    finally:
        if control is not None:
            control.cancel()
            await asyncio.gather(control, return_exceptions=True)
        running.line.close()
        await running.pool.close()
