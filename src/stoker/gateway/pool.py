"""All replicas of one model as one backend: who gets which request, and who carries it on.

A stream whose replica is lost goes on at another one with the tokens it has delivered; since a
token depends only on the model, the tokens before it and (seed, position), nothing of it changes.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import cast

import msgspec

from stoker import errors
from stoker.core.clock import Clock
from stoker.core.ids import RequestId
from stoker.core.output import Finish, FinishReason, TokenDelta
from stoker.core.request import Request
from stoker.engine.continuation import Continuation
from stoker.engine.interface import BlockSource, EngineInfo, EngineLoad, EngineState
from stoker.fleet.interface import Placer, Replica, ReplicaState
from stoker.gateway.balancing import Balancing, Choice
from stoker.gateway.replica_account import PoolRates, ReplicaAccount
from stoker.gateway.trial import Trial

WAIT_SECONDS = 600.0
"""For a replica to become ready, when a request has no deadline of its own."""


class ReplicaPool:
    """Implements Backend. All methods belong to one event loop."""

    def __init__(self, placer: Placer, balancing: Balancing, clock: Clock) -> None:
        self._placer = placer
        self._balancing = balancing
        self._clock = clock
        self._accounts: dict[str, ReplicaAccount] = {}
        self._rates = PoolRates()
        self._running: dict[RequestId, Replica | None] = {}
        self._cancelled: set[RequestId] = set()
        self._changed = asyncio.Event()
        self._trial = Trial()
        self._final: EngineState | None = None
        self._told: Callable[[], None] = _nobody
        self._wanted: Callable[[], None] | None = None
        self._info: EngineInfo | None = None
        """What a replica last said of itself; it holds while there is none."""
        placer.watch(self._notice)

    # --- replicas ---------------------------------------------------------------------------

    async def start(self, count: int = 1) -> None:
        """Brings up replicas and returns when one is ready. Raises why none can be."""
        await self._placer.open(count)

    def watch(self, changed: Callable[[], None]) -> None:
        """`changed` is called whenever a replica came, went, or changed its state."""
        self._told = changed

    def when_wanted(self, wanted: Callable[[], None]) -> None:
        """From now on somebody brings up replicas as they are needed: while there is none, requests
        wait, and `wanted` is called."""
        self._wanted = wanted

    def in_flight(self, replica_id: str) -> int:
        """Requests at this replica."""
        at = (replica.replica_id for replica in self._running.values() if replica is not None)
        return sum(one == replica_id for one in at)

    @property
    def num_running(self) -> int:
        """Requests that are here, at a replica or waiting for one."""
        return len(self._running)

    async def scale(self, count: int, grace: float) -> None:
        """Starts replicas, or drains the ones with the least to do, until there are `count`."""
        present = [one for one in self._placer.replicas if one.state is not ReplicaState.GONE]
        for _ in range(count - len(present)):
            self._placer.start()
        idlest = sorted(present, key=lambda one: self._accounts[one.replica_id].view.in_flight)
        leaving = idlest[: max(0, len(present) - count)]
        await asyncio.gather(*(self._placer.stop(one.replica_id, grace) for one in leaving))

    @property
    def _ready(self) -> list[Replica]:
        return [one for one in self._placer.replicas if one.state is ReplicaState.READY]

    def _notice(self) -> None:
        present = {replica.replica_id for replica in self._placer.replicas}
        for replica_id in [known for known in self._accounts if known not in present]:
            del self._accounts[replica_id]
            self._balancing.gone(replica_id)
        for replica in self._placer.replicas:
            if replica.replica_id not in self._accounts:
                account = ReplicaAccount(replica.replica_id, self._rates)
                self._accounts[replica.replica_id] = account
                if isinstance(replica.backend, BlockSource):
                    replica.backend.listen(self._balancing.listener(replica.replica_id))
        self._info = self.replica_info
        self._wake()

    def _wake(self) -> None:
        """Whoever waits for a replica looks again."""
        self._changed.set()
        self._changed = asyncio.Event()
        self._told()

    # --- Backend ----------------------------------------------------------------------------

    @property
    def info(self) -> EngineInfo:
        """What any replica can do; together they hold as many requests as all that are awake do, or
        as one while there is none."""
        infos = self._infos()
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
        return min(self._infos(), key=lambda info: info.max_context, default=None)

    def _infos(self) -> list[EngineInfo]:
        awake = [one for one in self._placer.replicas if one.state is not ReplicaState.SLEEPING]
        found = [info for info in map(_info, awake) if info is not None]
        return found if found or self._info is None else [self._info]

    @property
    def state(self) -> EngineState:
        if self._final is not None:
            return self._final
        states = {replica.state for replica in self._placer.replicas}
        if self._wanted is not None and self._info is not None and not states & _AT_WORK:
            return EngineState.SLEEPING
        return next((_STATES[state] for state in _STATES if state in states), EngineState.LOADING)

    @property
    def load(self) -> EngineLoad:
        loads = [replica.backend.load for replica in self._placer.replicas]
        fields = EngineLoad.__struct_fields__
        return EngineLoad(**{name: sum(getattr(load, name) for load in loads) for name in fields})

    @property
    def num_restarts(self) -> int:
        return sum(replica.backend.num_restarts for replica in self._placer.replicas)

    async def submit(self, request: Request) -> AsyncGenerator[TokenDelta, None]:
        self._refuse(request)
        now = self._clock.monotonic()
        deadline = None if request.timeout is None else now + request.timeout
        continuation = Continuation(request, deadline)
        self._running[request.request_id] = None
        try:
            while True:
                async with aclosing(self._dispatch(request, continuation, deadline)) as deltas:
                    async for delta in deltas:
                        if _lost(delta):
                            yield msgspec.structs.replace(delta, finish=None)  # its last tokens
                            break
                        yield delta
                        if delta.finish is not None:
                            return
                ending = self._after_loss(request, continuation)
                if ending is not None:
                    yield ending
                    return
        except Cancelled:
            yield _ending(request, FinishReason.CANCELLED)
        except errors.StokerError as error:
            if not continuation.begun:
                raise
            yield _ending(request, FinishReason.ERROR, error.code)
        finally:
            self._running.pop(request.request_id, None)
            self._cancelled.discard(request.request_id)

    def cancel(self, request_id: RequestId) -> None:
        if request_id not in self._running:
            return
        self._cancelled.add(request_id)
        replica = self._running[request_id]
        if replica is None:
            self._wake()
        else:
            replica.backend.cancel(request_id)

    async def drain(self, grace: float) -> None:
        self._final = self._final or EngineState.DRAINING
        await asyncio.gather(*(one.backend.drain(grace) for one in self._placer.replicas))
        self._notice()

    async def close(self) -> None:
        self._final = EngineState.STOPPED
        self._notice()
        await self._placer.close()

    # --- one request ------------------------------------------------------------------------

    def _refuse(self, request: Request) -> None:
        if self._final is EngineState.DRAINING:
            raise errors.Draining("the server is shutting down")
        if self._final is EngineState.STOPPED:
            raise errors.NoCapacity("the engine has stopped")
        if self.state is EngineState.LOADING:
            raise errors.Loading("the model is loading", retry_after=1.0)
        if request.request_id in self._running:
            raise errors.InternalError("two requests have the same id")

    async def _dispatch(
        self, request: Request, continuation: Continuation, deadline: float | None
    ) -> AsyncGenerator[TokenDelta, None]:
        """At one replica, until an ending or its loss."""
        async with self._trial.held(continuation) as trial:
            ready = await self._ready_ones(request, deadline)
            now = self._clock.monotonic()
            remaining = continuation.request(now)
            replica, choice = self._choose(remaining, ready, now)
            account = self._accounts[replica.replica_id]
            entry = account.dispatched(remaining, choice.cached_tokens, choice.output_tokens, now)
            self._running[request.request_id] = replica
            try:
                async with aclosing(_submitted(replica, remaining)) as deltas:
                    async for raw in deltas:
                        if raw.finish is not None and raw.finish.computing:
                            continuation.died_computing()
                        delta = continuation.took(raw)
                        entry.took(remaining, delta, self._clock.monotonic())
                        trial.passed(delta)
                        yield delta
            finally:
                account.ended(entry)
                self._balancing.ended(entry.num_output)
                self._running[request.request_id] = None

    def _after_loss(self, request: Request, continuation: Continuation) -> TokenDelta | None:
        """The ending of a request that is not carried on, else None."""
        if request.request_id in self._cancelled:
            return _ending(request, FinishReason.CANCELLED)
        if self._final is EngineState.STOPPED or continuation.hopeless:
            return _ending(request, FinishReason.ERROR, errors.ReplicaLost.code)
        if self._final is EngineState.DRAINING:
            return _ending(request, FinishReason.ERROR, errors.Draining.code)
        return None

    async def _ready_ones(self, request: Request, deadline: float | None) -> Sequence[Replica]:
        """Waits for a replica when none is ready but one will be. Raises NoCapacity, Draining or
        DeadlineExceeded."""
        now = self._clock.monotonic()
        limit = (now + WAIT_SECONDS if deadline is None else deadline) - now
        try:
            async with asyncio.timeout(limit):
                while not self._ready:
                    self._check_hope(request)
                    changed = self._changed
                    if self._wanted is not None:
                        self._wanted()
                    await changed.wait()
        except TimeoutError:
            raise errors.DeadlineExceeded("no replica became ready in time") from None
        return self._ready

    def _check_hope(self, request: Request) -> None:
        if request.request_id in self._cancelled:
            raise Cancelled
        if self._final is EngineState.DRAINING:
            raise errors.Draining("the server is shutting down")
        if self.state is EngineState.STOPPED:
            raise errors.NoCapacity("no replica is left")

    def _choose(
        self, request: Request, ready: Sequence[Replica], now: float
    ) -> tuple[Replica, Choice]:
        views = [self._accounts[one.replica_id].view for one in ready]
        block_size = ready[0].backend.info.block_size
        choice = self._balancing.choose(request, block_size, views, now)
        return ready[views.index(choice.replica)], choice


class Cancelled(Exception):
    """The request was cancelled while it had no replica."""


def _submitted(replica: Replica, request: Request) -> AsyncGenerator[TokenDelta, None]:
    return cast("AsyncGenerator[TokenDelta, None]", replica.backend.submit(request))


def _nobody() -> None:
    return None


def _info(replica: Replica) -> EngineInfo | None:
    try:
        return replica.backend.info
    except errors.Loading:
        return None


def _lost(delta: TokenDelta) -> bool:
    return delta.finish is not None and delta.finish.error_code == errors.ReplicaLost.code


def _ending(request: Request, reason: FinishReason, code: str | None = None) -> TokenDelta:
    return TokenDelta(request.request_id, finish=Finish(reason, error_code=code))


_STATES = {
    ReplicaState.READY: EngineState.READY,
    ReplicaState.UNWELL: EngineState.RESTARTING,
    ReplicaState.STARTING: EngineState.LOADING,
    ReplicaState.SLEEPING: EngineState.SLEEPING,
    ReplicaState.DRAINING: EngineState.DRAINING,
    ReplicaState.GONE: EngineState.STOPPED,
}
"""Best first: the pool is as well as its best replica."""
_AT_WORK = {ReplicaState.READY, ReplicaState.UNWELL}
