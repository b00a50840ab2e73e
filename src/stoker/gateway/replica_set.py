"""The replicas of one model as their pool sees them: which take requests, what each has to do, and
which one is next."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Container, Sequence
from contextlib import suppress

from stoker.config.fleet_schema import BalanceSection
from stoker.core.clock import Clock
from stoker.core.request import Request
from stoker.engine.interface import BlockSource, EngineInfo, EngineState
from stoker.errors import Loading
from stoker.fleet.interface import Placer, Replica, ReplicaId, ReplicaState
from stoker.gateway.balancing import Balancing
from stoker.gateway.replica_account import Dispatched, PoolRates, ReplicaAccount


class ReplicaSet:
    def __init__(self, placer: Placer, balancing: Balancing, clock: Clock) -> None:
        self._placer = placer
        self._balancing = balancing
        self._clock = clock
        self._rates = PoolRates()
        self._accounts: dict[str, ReplicaAccount] = {}
        self._states: dict[str, ReplicaState] = {}
        self._changed = asyncio.Event()
        self._told: Callable[[], None] = _nobody
        self._wanted: Callable[[], None] | None = None
        self._known: EngineInfo | None = None
        """What a replica last said of itself; it holds while there is none."""
        placer.watch(self._notice)

    @property
    def all(self) -> Sequence[Replica]:
        return self._placer.replicas

    @property
    def state(self) -> EngineState:
        """As well as the best of them."""
        states = {replica.state for replica in self.all}
        if self._wanted is not None and self._known is not None and not states & _AT_WORK:
            return EngineState.SLEEPING
        return next((_STATES[state] for state in _STATES if state in states), EngineState.LOADING)

    @property
    def infos(self) -> list[EngineInfo]:
        """Of those that take requests; while there is none, what one was."""
        ready = [one for one in self.all if one.state is ReplicaState.READY]
        found = [info for info in map(_info, ready) if info is not None]
        return found if found or self._known is None else [self._known]

    def expect(self, info: EngineInfo) -> None:
        """So a replica will be, though none has loaded yet."""
        self._known = info

    def configure(self, section: BalanceSection) -> None:
        """Holds for whoever comes from now on."""
        self._balancing.configure(section)

    def in_flight(self, replica_id: str) -> int:
        """Requests dispatched there that have not ended."""
        account = self._accounts.get(replica_id)
        return 0 if account is None else account.in_flight

    @property
    def managed(self) -> bool:
        return self._wanted is not None

    def when_wanted(self, wanted: Callable[[], None]) -> None:
        """`wanted` is called when a request waits and there is no replica to take it."""
        self._wanted = wanted

    def watch(self, changed: Callable[[], None]) -> None:
        """`changed` is called whenever a replica came, went, or changed its state."""
        self._told = changed

    def wake(self) -> None:
        """Whoever waits for a replica looks again."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def changed(self, seconds: float | None) -> None:
        """Returns when it is worth looking again, and after `seconds` at the latest."""
        changed = self._changed
        if self._wanted is not None and not self.taking(()):
            self._wanted()
        with suppress(TimeoutError):
            await asyncio.wait_for(changed.wait(), seconds)

    def taking(self, refused: Container[ReplicaId]) -> list[Replica]:
        """Those to choose from, without those that `refused` names: ready ones, else sleeping ones,
        which a request wakes unless there is somebody who does and is told."""
        states = (ReplicaState.READY, ReplicaState.SLEEPING)
        for state in states if self._wanted is None else states[:1]:
            found = [
                one for one in self.all if one.state is state and one.replica_id not in refused
            ]
            if found:
                return found
        return []

    def dispatch(self, request: Request, replicas: Sequence[Replica]) -> tuple[Replica, Dispatched]:
        """One of `replicas`, and what the request counts for there until `ended`."""
        now = self._clock.monotonic()
        views = [self._accounts[one.replica_id].view(now) for one in replicas]
        block_size = replicas[0].backend.info.block_size
        choice = self._balancing.choose(request, block_size, views, now)
        replica = replicas[views.index(choice.replica)]
        account = self._accounts[replica.replica_id]
        entry = account.dispatched(request, choice.cached_tokens, choice.output_tokens, now)
        return replica, entry

    def ended(self, entry: Dispatched) -> None:
        entry.ended()
        self._balancing.ended(entry.num_output)

    def _notice(self) -> None:
        present = {replica.replica_id: replica for replica in self.all}
        for gone in [known for known in self._accounts if known not in present]:
            del self._accounts[gone], self._states[gone]
            self._balancing.gone(gone)
        for replica in present.values():
            self._observe(replica)
        self._known = min(self.infos, key=lambda info: info.max_context, default=None)
        self.wake()
        self._told()

    def _observe(self, replica: Replica) -> None:
        name, state = replica.replica_id, replica.state
        if name not in self._accounts:
            self._accounts[name] = ReplicaAccount(name, self._rates)
            if isinstance(replica.backend, BlockSource):
                replica.backend.listen(self._balancing.listener(name))
        elif state is ReplicaState.READY and self._states[name] is ReplicaState.UNWELL:
            self._accounts[name].came_back(self._clock.monotonic())
        self._states[name] = state


def _nobody() -> None:
    return None


def _info(replica: Replica) -> EngineInfo | None:
    try:
        return replica.backend.info
    except Loading:
        return None


_STATES = {
    ReplicaState.READY: EngineState.READY,
    ReplicaState.UNWELL: EngineState.RESTARTING,
    ReplicaState.STARTING: EngineState.LOADING,
    ReplicaState.SLEEPING: EngineState.SLEEPING,
    ReplicaState.DRAINING: EngineState.DRAINING,
    ReplicaState.GONE: EngineState.STOPPED,
}
"""Best first."""
_AT_WORK = {ReplicaState.READY, ReplicaState.UNWELL}
