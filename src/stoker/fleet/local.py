"""Replicas as processes of this machine, each an engine with a supervisor that restarts it."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from stoker.core.clock import Clock
from stoker.core.output import Finish, FinishReason, TokenDelta
from stoker.core.request import Request
from stoker.engine.adapter_shelf import AdapterShelf
from stoker.engine.client import EngineClient, Progress
from stoker.engine.interface import EngineInfo, EngineState
from stoker.engine.stream import Stream
from stoker.engine.watchdog import SHORTEST_LIMIT
from stoker.errors import NoCapacity, ReplicaLost, StokerError
from stoker.fleet.interface import Replica, ReplicaId, ReplicaSpec, ReplicaState

log = logging.getLogger(__name__)

ENDING_SECONDS = 1.0
STATES = {
    EngineState.LOADING: ReplicaState.STARTING,
    EngineState.READY: ReplicaState.READY,
    EngineState.SLEEPING: ReplicaState.SLEEPING,
    EngineState.STUCK: ReplicaState.UNWELL,
    EngineState.RESTARTING: ReplicaState.UNWELL,
    EngineState.DRAINING: ReplicaState.DRAINING,
    EngineState.STOPPED: ReplicaState.GONE,
}


class LocalBackend(EngineClient):
    """An engine whose streams do not wait for its restart: there may be other replicas."""

    def __init__(self, *arguments: Any, changed: Callable[[], None], **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._changed = changed
        self.closing = False
        """On its way to sleep: nothing new is taken."""

    async def rest(self, grace: float) -> None:
        """Sleeps, once the requests it has are done or `grace` seconds have passed."""
        self.closing = True
        self._changed()
        try:
            await self._empty(grace)
            async with asyncio.timeout(ENDING_SECONDS):
                await self._idle.wait()
            await self.sleep()
        except TimeoutError:
            log.warning("a reader does not take its ending: the engine stays awake")
        finally:
            self.closing = False
            self._changed()

    def _refuse(self, request: Request) -> None:
        if self.closing or self.state not in (EngineState.READY, EngineState.SLEEPING):
            raise NoCapacity("this replica is not ready")
        super()._refuse(request)

    def _bereaved(self, stream: Stream, computing: bool) -> None:
        lost = Finish(FinishReason.ERROR, error_code=ReplicaLost.code, deaths=int(computing))
        stream.push(TokenDelta(stream.request.request_id, finish=lost))

    def engine_ready(self, info: EngineInfo) -> None:
        super().engine_ready(info)
        self._changed()

    def _rested(self, *, asleep: bool) -> None:
        super()._rested(asleep=asleep)
        self._changed()

    def engine_died(self) -> None:
        super().engine_died()
        self._changed()

    def _stop(self, why: StokerError) -> None:
        super()._stop(why)
        self._changed()


class LocalReplica:
    def __init__(self, replica_id: ReplicaId, backend: LocalBackend) -> None:
        self.replica_id = replica_id
        self.backend = backend
        self._loading = asyncio.create_task(backend.start(), name=f"load {replica_id}")

    @property
    def state(self) -> ReplicaState:
        state = STATES[self.backend.state]
        closing = self.backend.closing and state is ReplicaState.READY
        return ReplicaState.DRAINING if closing else state

    async def started(self) -> None:
        await asyncio.shield(self._loading)

    async def sleep(self, grace: float) -> None:
        await self.backend.rest(grace)

    async def wake(self) -> None:
        await self.backend.wake()

    async def close(self) -> None:
        self._loading.cancel()
        await asyncio.gather(self._loading, return_exceptions=True)
        await self.backend.close()


class LocalPlacer:
    """The cores are shared out evenly among the `expected` replicas."""

    def __init__(
        self,
        spec: ReplicaSpec,
        clock: Clock,
        *,
        expected: int = 1,
        max_restarts: int = 5,
        stuck_after: float = SHORTEST_LIMIT,
        progress: Progress | None = None,
        adapters: AdapterShelf | None = None,
    ) -> None:
        threads = max(1, spec.engine.threads // expected)
        self._engine = msgspec.structs.replace(spec.engine, threads=threads)
        self._model = spec.model
        self._clock = clock
        self._max_restarts = max_restarts
        self._stuck_after = stuck_after
        self._progress = progress
        self._adapters = adapters
        self._replicas: dict[ReplicaId, LocalReplica] = {}
        self._numbers = itertools.count(1)
        self._changed: Callable[[], None] = lambda: None

    @property
    def replicas(self) -> Sequence[Replica]:
        return list(self._replicas.values())

    def watch(self, changed: Callable[[], None]) -> None:
        self._changed = changed

    async def open(self, count: int) -> None:
        starting = [asyncio.create_task(self.start().started()) for _ in range(count)]
        for task in starting:
            task.add_done_callback(_seen)
        for first in asyncio.as_completed(starting):
            await first
            return

    def start(self) -> LocalReplica:
        replica_id = ReplicaId(f"{self._model}/{next(self._numbers)}")
        backend = LocalBackend(
            self._engine,
            max_restarts=self._max_restarts,
            stuck_after=self._stuck_after,
            clock=self._clock,
            progress=self._progress,
            adapters=self._adapters,
            changed=self._notice,
        )
        replica = self._replicas[replica_id] = LocalReplica(replica_id, backend)
        self._changed()
        return replica

    def _notice(self) -> None:
        self._changed()

    async def stop(self, replica_id: ReplicaId, grace: float) -> None:
        replica = self._replicas[replica_id]
        await replica.backend.drain(grace)
        await replica.close()
        del self._replicas[replica_id]
        self._changed()

    async def close(self) -> None:
        await asyncio.gather(*(replica.close() for replica in self._replicas.values()))


def _seen(task: asyncio.Task[None]) -> None:
    """What a replica's start raised is known: another one is ready, or it was raised."""
    if not task.cancelled():
        task.exception()
