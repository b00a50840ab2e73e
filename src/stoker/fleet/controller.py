"""Keeps a pool as large as its autoscaler says: measures, asks, and lets the placer do it.

It decides nothing itself. What goes wrong while replicas start, stop, sleep or wake is logged, and
what is missing is tried again with the next sample, after a pause.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Coroutine
from typing import Any, Protocol

import msgspec

from stoker.core.clock import Clock
from stoker.errors import NoCapacity
from stoker.fleet.autoscaler import Autoscaler
from stoker.fleet.interface import Placer, Replica, ReplicaId, ReplicaState
from stoker.fleet.pool_sample import Decision, PoolSample
from stoker.fleet.start_times import StartTimes
from stoker.fleet.supply import PRESENT, Changes, Standing, changes
from stoker.observe.replicas import ReplicaCounts

log = logging.getLogger(__name__)

SAMPLE_SECONDS = 2.0
REFUSED_SECONDS = 5.0
MOST_REFUSED_SECONDS = 60.0
FIRST_COLD_SECONDS = 30.0
FIRST_WAKE_SECONDS = 1.0


class Demand(msgspec.Struct, frozen=True, kw_only=True):
    """Work in replica-seconds; NaN where it could not be measured."""

    arrived_work: float
    """Since the measurement before."""
    waiting_work: float
    in_flight: int


class DemandSource(Protocol):
    def measure(self) -> Demand: ...

    def in_flight(self, replica_id: ReplicaId) -> int:
        """Requests at one replica."""
        ...


class Controller:
    """`run` it as a task. All methods belong to one event loop."""

    def __init__(
        self,
        placer: Placer,
        autoscaler: Autoscaler,
        demand: DemandSource,
        clock: Clock,
        *,
        grace: float,
        interval: float = SAMPLE_SECONDS,
    ) -> None:
        """`grace`: seconds that a replica which leaves may go on with what it has; then its streams
        are carried on elsewhere."""
        self.autoscaler = autoscaler
        self.decision = Decision(desired=autoscaler.desired, why="hold")
        self._placer = placer
        self._demand = demand
        self._clock = clock
        self._grace = grace
        self._interval = interval
        self._poked = asyncio.Event()
        self._cold = StartTimes(FIRST_COLD_SECONDS)
        self._wakes = StartTimes(FIRST_WAKE_SECONDS)
        self._tasks: set[asyncio.Task[None]] = set()
        self._changing: set[ReplicaId] = set()
        """On their way to sleep, awake, or out."""
        self._refusals = 0
        self._refused_until = 0.0

    def poke(self) -> None:
        """A request found no replica ready: what is to be done is done now."""
        self._poked.set()

    async def run(self) -> None:
        """Until cancelled; then what was begun is not waited for."""
        try:
            while True:
                self.step()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._poked.wait(), self._interval)
                self._poked.clear()
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def step(self) -> Decision:
        """One sample, one decision, and the beginning of what follows from it."""
        now = self._clock.monotonic()
        self.autoscaler.observe(self._sample(now), self._clock.wall())
        self.decision = self.autoscaler.decide(now)
        self._apply(changes(self.decision, self._standings()), now)
        return self.decision

    # --- what there is ----------------------------------------------------------------------

    def counts(self) -> ReplicaCounts:
        """For metrics."""
        by_state = dict.fromkeys((state.value for state in ReplicaState), 0)
        for replica in self._placer.replicas:
            by_state[replica.state.value] += 1
        desired, standbys = self.decision.desired, self.decision.standbys
        return ReplicaCounts(desired=desired, standbys=standbys, by_state=by_state)

    def _sample(self, now: float) -> PoolSample:
        demand = self._demand.measure()
        states = [replica.state for replica in self._placer.replicas]
        ready = states.count(ReplicaState.READY)
        return PoolSample(
            time=now,
            arrived_work=demand.arrived_work,
            waiting_work=demand.waiting_work,
            in_flight=demand.in_flight,
            ready=ready,
            starting=sum(state in PRESENT for state in states) - ready,
            sleeping=states.count(ReplicaState.SLEEPING),
            cold_seconds=self._cold.seconds,
            wake_seconds=self._wakes.seconds,
        )

    def _standings(self) -> list[Standing]:
        """Replicas that are being changed are left alone; one that wakes is as good as there."""
        return [
            Standing(
                replica.replica_id,
                self._expected_state(replica),
                self._demand.in_flight(replica.replica_id),
            )
            for replica in self._placer.replicas
        ]

    def _expected_state(self, replica: Replica) -> ReplicaState:
        if replica.replica_id not in self._changing:
            return replica.state
        waking = replica.state is ReplicaState.SLEEPING
        return ReplicaState.STARTING if waking else ReplicaState.DRAINING

    # --- what is done -----------------------------------------------------------------------

    def _apply(self, wanted: Changes, now: float) -> None:
        replicas = {replica.replica_id: replica for replica in self._placer.replicas}
        for replica_id in wanted.wake:
            self._change(replica_id, self._timed(replicas[replica_id].wake(), self._wakes))
        for replica_id in wanted.sleep:
            self._change(replica_id, replicas[replica_id].sleep(self._grace))
        for replica_id in wanted.stop:
            self._change(replica_id, self._placer.stop(replica_id, self._grace))
        if now >= self._refused_until:
            self._start(wanted.start)

    def _start(self, count: int) -> None:
        for _ in range(count):
            try:
                replica = self._placer.start()
            except NoCapacity as error:
                self._refused(error)
                return
            self._spawn(self._watch(replica), f"start {replica.replica_id}")

    async def _watch(self, replica: Replica) -> None:
        try:
            await self._timed(replica.started(), self._cold)
        except asyncio.CancelledError:
            raise
        except Exception as error:
            self._refused(error)
        else:
            self._refusals = 0

    def _refused(self, error: Exception) -> None:
        pause = min(REFUSED_SECONDS * 2**self._refusals, MOST_REFUSED_SECONDS)
        self._refusals += 1
        self._refused_until = self._clock.monotonic() + pause
        log.warning("no further replica for now, next try in %.0f s: %s", pause, error)

    async def _timed(self, ready: Awaitable[None], times: StartTimes) -> None:
        begun = self._clock.monotonic()
        await ready
        times.took(self._clock.monotonic() - begun)

    def _change(self, replica_id: ReplicaId, change: Coroutine[Any, Any, None]) -> None:
        self._changing.add(replica_id)
        task = self._spawn(self._logged(change), f"change {replica_id}")
        task.add_done_callback(lambda _task: self._changing.discard(replica_id))

    async def _logged(self, change: Coroutine[Any, Any, None]) -> None:
        try:
            await change
        except asyncio.CancelledError:
            raise
        except Exception:
            log.exception("a replica could not be changed")

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
