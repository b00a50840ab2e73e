"""Replicas as actors on a Ray cluster, each in a placement group of its own.

A group that finds no room is a demand that Ray's autoscaler sees, and it adds a node; nothing here
starts machines. Ray starts and ends replicas; requests and tokens go over HTTP.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import secrets
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import aiohttp
import msgspec

from stoker.core.clock import Clock
from stoker.errors import SetupError
from stoker.fleet.interface import Replica, ReplicaId
from stoker.fleet.ray_cluster import RayCluster
from stoker.fleet.ray_messages import Ended, News, Place, Serving, Waiting
from stoker.fleet.ray_replica import RayReplica
from stoker.fleet.remote import RemoteBackend
from stoker.fleet.remote_session import remote_session

log = logging.getLogger(__name__)

FIRST_PAUSE = 1.0
LONGEST_PAUSE = 60.0
"""Before another takes the place of a replica that was never ready."""
ENDING_SECONDS = 5.0
"""For a replica's processes, once it is drained."""
SERVE = ("-m", "stoker", "serve")


class RayLaunch(msgspec.Struct, frozen=True, kw_only=True):
    """How one replica is started."""

    resources: Mapping[str, float]
    """As Ray names and counts them."""
    settings: str
    """The text of its configuration file."""
    program: tuple[str, ...] = SERVE
    """What the node's Python runs."""


class RayPlacer:
    """A replica that is lost or silent is replaced: at once if it had been ready, else after a
    pause."""

    def __init__(self, model: str, launch: RayLaunch, address: str, clock: Clock) -> None:
        self._model = model
        self._launch = launch
        self._clock = clock
        self._cluster = RayCluster(address, self._hear)
        self._key = secrets.token_hex(32)
        self._replicas: dict[str, RayReplica] = {}
        self._numbers = itertools.count(1)
        self._failures = 0
        """Replicas in a row that were never ready."""
        self._changed: Callable[[], None] = lambda: None
        self._session: aiohttp.ClientSession | None = None
        self._ending: set[asyncio.Task[None]] = set()

    @property
    def replicas(self) -> Sequence[Replica]:
        return list(self._replicas.values())

    def watch(self, changed: Callable[[], None]) -> None:
        self._changed = changed

    async def open(self, count: int) -> None:
        """Waits as long as no node has room. A node that dies meanwhile is no reason to give up; a
        replica that ends by itself is."""
        self._session = remote_session()
        await self._cluster.connect()
        for _ in range(count):
            self.start()
        while self._replicas and not await self._one_started():
            pass

    async def _one_started(self) -> bool:
        starting = [asyncio.ensure_future(one.started()) for one in self._replicas.values()]
        try:
            done, _ = await asyncio.wait(starting, return_when=asyncio.FIRST_COMPLETED)
            failures = [task.exception() for task in done]
        finally:
            for task in starting:
                task.cancel()
            await asyncio.gather(*starting, return_exceptions=True)
        for failure in failures:
            if isinstance(failure, SetupError):
                raise failure
        return None in failures

    def start(self) -> RayReplica:
        return self._start_after(0.0)

    async def stop(self, replica_id: ReplicaId, grace: float) -> None:
        replica = self._replicas[replica_id]
        replica.leaving = True
        self._changed()
        await replica.backend.drain(grace)
        if not replica.ended.is_set():
            self._cluster.stop(replica_id, ENDING_SECONDS)
            await replica.ended.wait()

    async def close(self) -> None:
        for replica in self._replicas.values():
            replica.leaving = True
        await asyncio.gather(*(one.backend.close() for one in self._replicas.values()))
        await self._cluster.close()
        await asyncio.gather(*self._ending, return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    # --- what comes and goes ----------------------------------------------------------------

    def _start_after(self, pause: float) -> RayReplica:
        replica_id = ReplicaId(f"{self._model}/{next(self._numbers)}")
        replica = RayReplica(replica_id, self.stop, self._cluster.stop)
        self._replicas[replica.replica_id] = replica
        asyncio.get_running_loop().call_later(pause, self._place, replica)
        self._changed()
        return replica

    def _place(self, replica: RayReplica) -> None:
        if replica.leaving:
            return
        self._cluster.place(
            Place(
                replica_id=replica.replica_id,
                resources=dict(self._launch.resources),
                program=self._launch.program,
                settings=self._launch.settings,
                key=self._key,
            )
        )

    def _hear(self, news: News) -> None:
        match news:
            case Waiting(replica_id=replica_id, reason=reason):
                self._waits(self._replicas[replica_id], reason)
            case Serving(replica_id=replica_id, url=url):
                self._serves(self._replicas[replica_id], url)
            case Ended(replica_id=replica_id):
                self._ended(self._replicas.pop(replica_id), news)

    def _waits(self, replica: RayReplica, reason: str) -> None:
        if reason != replica.waits_for:
            replica.waits_for = reason
            log.warning("%s waits for a place: %s", replica.replica_id, reason)

    def _serves(self, replica: RayReplica, url: str) -> None:
        if replica.leaving or self._session is None:
            return
        replica.waits_for = ""
        key, changed = self._key.encode(), partial(self._observe, replica)
        replica.backend = RemoteBackend(url, self._model, key, self._session, self._clock, changed)
        log.info("%s is at %s", replica.replica_id, url)

    def _observe(self, replica: RayReplica) -> None:
        replica.observed()
        self._changed()

    def _ended(self, replica: RayReplica, news: Ended) -> None:
        """Its streams are lost to it, so the pool carries them on elsewhere."""
        replica.over(news)
        closing = asyncio.create_task(replica.backend.close(), name=f"close {replica.replica_id}")
        self._ending.add(closing)
        closing.add_done_callback(self._ending.discard)
        if not replica.leaving:
            self._replace(replica, news.reason)
        self._changed()

    def _replace(self, lost: RayReplica, reason: str) -> None:
        self._failures = 0 if lost.was_ready else self._failures + 1
        pause = pause_after(self._failures)
        log.warning("%s is lost (%s); another in %g s", lost.replica_id, reason, pause)
        self._start_after(pause)


def pause_after(failures: int) -> float:
    """Seconds before another start, when so many in a row came to nothing."""
    return min(FIRST_PAUSE * 2 ** min(failures - 1, 10), LONGEST_PAUSE) if failures else 0.0
