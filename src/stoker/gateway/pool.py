"""All replicas of one model as one backend."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress

import msgspec

from stoker import errors
from stoker.config.fleet_schema import BalanceSection
from stoker.core.clock import Clock
from stoker.core.ids import RequestId
from stoker.core.output import Finish, FinishReason, TokenDelta
from stoker.core.request import Request
from stoker.engine.interface import EngineInfo, EngineLoad, EngineState
from stoker.fleet.interface import Placer, Replica, ReplicaState
from stoker.gateway.balancing import Balancing
from stoker.gateway.handover import Handover, Placed, answering
from stoker.gateway.journey import LOST, Journey
from stoker.gateway.replica_set import ReplicaSet
from stoker.gateway.trial import Trial

TOLD_TO_GO = Finish(FinishReason.ERROR, error_code=errors.Draining.code)


class ReplicaPool:
    """Implements Backend. All methods belong to one event loop.

    What any replica took is carried on, whatever becomes of that replica, until it ends by itself
    or its time is up. All replicas lost at once are a pause.
    """

    def __init__(self, placer: Placer, balancing: Balancing, clock: Clock) -> None:
        self._placer = placer
        self._clock = clock
        self._replicas = ReplicaSet(placer, balancing, clock)
        self._journeys: dict[RequestId, Journey | Handover] = {}
        self._trial = Trial()
        self._final: EngineState | None = None
        self._idle = asyncio.Event()
        self._idle.set()

    # --- replicas ---------------------------------------------------------------------------

    async def start(self, count: int = 1) -> None:
        """Brings up replicas and returns when one is ready. Raises why none can be."""
        await self._placer.open(count)

    async def scale(self, count: int, grace: float) -> None:
        """Starts replicas, or drains the ones with the least to do, until there are `count`."""
        present = [one for one in self.replicas if one.state is not ReplicaState.GONE]
        for _ in range(count - len(present)):
            self._placer.start()
        idlest = sorted(present, key=lambda one: self.in_flight(one.replica_id))
        leaving = idlest[: max(0, len(present) - count)]
        await asyncio.gather(*(self._placer.stop(one.replica_id, grace) for one in leaving))

    @property
    def replicas(self) -> Sequence[Replica]:
        return self._replicas.all

    def in_flight(self, replica_id: str) -> int:
        """Requests at this replica."""
        return self._replicas.in_flight(replica_id)

    @property
    def num_running(self) -> int:
        """Requests that are here, at a replica or waiting for one."""
        return len(self._journeys)

    def watch(self, changed: Callable[[], None]) -> None:
        """`changed` is called whenever a replica came, went, or changed its state."""
        self._replicas.watch(changed)

    def when_wanted(self, wanted: Callable[[], None]) -> None:
        """From now on somebody brings up replicas as they are needed: while there is none, requests
        wait, and `wanted` is called."""
        self._replicas.when_wanted(wanted)

    @property
    def managed(self) -> bool:
        """Whether somebody brings up replicas as they are needed."""
        return self._replicas.managed

    def expect(self, info: EngineInfo) -> None:
        """So a replica will be: requests are checked by this while none has loaded yet."""
        self._replicas.expect(info)

    def configure(self, section: BalanceSection) -> None:
        """Another way to choose among replicas, for requests that come from now on."""
        self._replicas.configure(section)

    # --- Backend ----------------------------------------------------------------------------

    @property
    def info(self) -> EngineInfo:
        """What any replica can do; together they hold as many requests as those that are ready do,
        or as one while there is none."""
        infos = self._replicas.infos
        if not infos:
            raise errors.Loading("the model is loading", retry_after=1.0)
        least = min(infos, key=lambda info: info.max_context)
        return msgspec.structs.replace(
            least,
            max_requests=sum(info.max_requests for info in infos),
            num_blocks=sum(info.num_blocks for info in infos),
            weight_bytes=sum(info.weight_bytes for info in infos),
            kv_bytes=sum(info.kv_bytes for info in infos),
            max_running=sum(info.max_running for info in infos),
        )

    @property
    def replica_info(self) -> EngineInfo | None:
        """What one replica can do, once one has loaded."""
        return min(self._replicas.infos, key=lambda info: info.max_context, default=None)

    @property
    def state(self) -> EngineState:
        """As well as the best replica."""
        return self._final or self._replicas.state

    @property
    def load(self) -> EngineLoad:
        loads = [replica.backend.load for replica in self.replicas]
        fields = EngineLoad.__struct_fields__
        return EngineLoad(**{name: sum(getattr(load, name) for load in loads) for name in fields})

    @property
    def num_restarts(self) -> int:
        return sum(replica.backend.num_restarts for replica in self.replicas)

    async def submit(self, request: Request) -> AsyncGenerator[TokenDelta, None]:
        self._refuse(request)
        journey = Journey(request, self._replicas, self._trial, self._clock)
        with self._under_way(request, journey):
            deltas = journey.deltas()
            try:
                async for delta in deltas:
                    yield delta
            finally:
                await deltas.aclose()

    @property
    def answering(self) -> bool:
        """Whether there are replicas that can answer clients by themselves."""
        return bool(answering(self.replicas))

    @asynccontextmanager
    async def handed_over(self, request: Request, body: str) -> AsyncIterator[Placed]:
        """The request at a replica that answers it by itself; `body` is the digest of what the
        client sent. Raises StokerError when none takes it."""
        self._refuse(request)
        handover = Handover(request, body, self._replicas, self._clock)
        with self._under_way(request, handover):
            async with handover.at_replica() as placed:
                yield placed

    @contextmanager
    def _under_way(self, request: Request, journey: Journey | Handover) -> Iterator[None]:
        self._journeys[request.request_id] = journey
        self._idle.clear()
        try:
            yield
        finally:
            del self._journeys[request.request_id]
            if not self._journeys:
                self._idle.set()

    def cancel(self, request_id: RequestId) -> None:
        journey = self._journeys.get(request_id)
        if journey is not None:
            journey.stop(Finish(FinishReason.CANCELLED))

    async def drain(self, grace: float) -> None:
        """Running requests are carried on all that time, whatever becomes of replicas."""
        self._final = self._final or EngineState.DRAINING
        with suppress(TimeoutError):
            await asyncio.wait_for(self._idle.wait(), grace)
        self._stop_all(TOLD_TO_GO)
        await asyncio.gather(*(one.backend.drain(0.0) for one in self.replicas))

    async def close(self) -> None:
        self._final = EngineState.STOPPED
        self._stop_all(LOST)
        await self._placer.close()

    def _stop_all(self, finish: Finish) -> None:
        for journey in list(self._journeys.values()):
            journey.stop(finish)

    def _refuse(self, request: Request) -> None:
        if self._final is EngineState.DRAINING:
            raise errors.Draining("the server is shutting down")
        if self._final is EngineState.STOPPED:
            raise errors.NoCapacity("the engine has stopped")
        if self.state is EngineState.LOADING:
            raise errors.Loading("the model is loading", retry_after=1.0)
        if request.request_id in self._journeys:
            raise errors.InternalError("two requests have the same id")
