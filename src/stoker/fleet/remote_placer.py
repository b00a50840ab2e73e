"""Replicas that somebody else started: they are found by address, used, and left as they are."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Awaitable, Callable, Sequence
from urllib.parse import urlsplit

import aiohttp

from stoker.core.clock import Clock
from stoker.engine.interface import EngineState
from stoker.errors import NoCapacity
from stoker.fleet.interface import Replica, ReplicaId, ReplicaState
from stoker.fleet.remote import RemoteBackend
from stoker.fleet.remote_session import remote_session

log = logging.getLogger(__name__)

LOOK_UP_SECONDS = 5.0

STATES = {
    EngineState.LOADING: ReplicaState.STARTING,
    EngineState.READY: ReplicaState.READY,
    EngineState.DRAINING: ReplicaState.DRAINING,
    EngineState.STOPPED: ReplicaState.GONE,
}
"""Anything else is UNWELL: it may come back."""

Resolve = Callable[[str, int], Awaitable[list[str]]]
"""Host and port to addresses. Raises OSError."""


async def resolve(host: str, port: int) -> list[str]:
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return sorted({str(address[0]) for *_, address in found})


class RemoteReplica:
    def __init__(self, url: str, backend: RemoteBackend) -> None:
        self.replica_id = ReplicaId(url)
        self.backend = backend

    @property
    def state(self) -> ReplicaState:
        return STATES.get(self.backend.state, ReplicaState.UNWELL)

    async def started(self) -> None:
        await self.backend.seen.wait()

    async def sleep(self, grace: float) -> None:
        """It is not ours to put to sleep."""

    async def wake(self) -> None:
        return None


class RemotePlacer:
    """Every address that a URL's host has is a replica; addresses come and go."""

    def __init__(
        self,
        urls: Sequence[str],
        model: str,
        key: bytes,
        clock: Clock,
        look_up: Resolve = resolve,
    ) -> None:
        self._urls = [url.rstrip("/") for url in urls]
        self._model = model
        self._key = key
        self._clock = clock
        self._look_up = look_up
        self._replicas: dict[str, RemoteReplica] = {}
        self._sources: dict[str, str] = {}
        """Address of a replica → the URL it was found under."""
        self._changed: Callable[[], None] = lambda: None
        self._news = asyncio.Event()
        self._session: aiohttp.ClientSession | None = None
        self._looking: asyncio.Task[None] | None = None

    @property
    def replicas(self) -> Sequence[Replica]:
        return list(self._replicas.values())

    def watch(self, changed: Callable[[], None]) -> None:
        self._changed = changed

    def _notice(self) -> None:
        self._news.set()
        self._changed()

    def start(self) -> Replica:
        raise NoCapacity("remote replicas are started where they run")

    async def open(self, count: int) -> None:
        self._session = remote_session()
        self._looking = asyncio.create_task(self._look(), name="look for replicas")
        while not any(one.state is ReplicaState.READY for one in self._replicas.values()):
            await self._news.wait()
            self._news.clear()

    async def stop(self, replica_id: ReplicaId, grace: float) -> None:
        """Sends it nothing more."""
        replica = self._replicas.pop(replica_id)
        await replica.backend.drain(grace)
        await replica.backend.close()
        self._notice()

    async def close(self) -> None:
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)
        await asyncio.gather(*(one.backend.close() for one in self._replicas.values()))
        if self._session is not None:
            await self._session.close()

    async def _look(self) -> None:
        while True:
            for url in self._urls:
                with contextlib.suppress(OSError):  # a name server that is away changes nothing
                    self._update(url, set(await self._addresses(url)))
            await self._drop_strays()
            await asyncio.sleep(LOOK_UP_SECONDS)

    async def _addresses(self, url: str) -> list[str]:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
        if parts.scheme == "https":
            return [url]  # its certificate is for the name
        found = await self._look_up(host, port)
        return [
            f"{parts.scheme}://{f'[{one}]' if ':' in one else one}:{port}{parts.path}"
            for one in found
        ]

    def _update(self, url: str, present: set[str]) -> None:
        origin = {one for one, source in self._sources.items() if source == url}
        for address in present - origin:
            self._add(url, address)
        for address in origin - present:
            del self._sources[address]

    async def _drop_strays(self) -> None:
        """A replica without an address in the books is used as long as it answers."""
        for address, replica in list(self._replicas.items()):
            if address not in self._sources and replica.state is not ReplicaState.READY:
                await self.stop(replica.replica_id, 0.0)

    def _add(self, url: str, address: str) -> None:
        if self._session is None or address in self._replicas:
            return
        backend = RemoteBackend(
            address, self._model, self._key, self._session, self._clock, self._notice
        )
        self._sources[address] = url
        self._replicas[address] = RemoteReplica(address, backend)
        self._notice()
