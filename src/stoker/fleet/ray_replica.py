"""A replica on a Ray node as the front sees it: first without a place, then at an address."""

from __future__ import annotations

import asyncio

from stoker.errors import NoCapacity, SetupError
from stoker.fleet.interface import ReplicaId, ReplicaState
from stoker.fleet.ray_messages import Ended
from stoker.fleet.remote import RemoteBackend
from stoker.fleet.remote_placer import STATES
from stoker.fleet.unplaced_backend import UnplacedBackend


class RayReplica:
    def __init__(self, replica_id: ReplicaId) -> None:
        self.replica_id = replica_id
        self.backend: RemoteBackend | UnplacedBackend = UnplacedBackend()
        self.waits_for = ""
        """Why no node takes it; empty: one did, or it was not asked yet."""
        self.leaving = False
        """It was told to go, so nothing takes its place."""
        self.ended = asyncio.Event()
        self._first: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._first.add_done_callback(_seen)

    @property
    def state(self) -> ReplicaState:
        if self.ended.is_set():
            return ReplicaState.GONE
        if self.leaving:
            return ReplicaState.DRAINING
        return STATES.get(self.backend.state, ReplicaState.UNWELL)

    @property
    def was_ready(self) -> bool:
        return self._first.done() and self._first.exception() is None

    async def started(self) -> None:
        await asyncio.shield(self._first)

    def observed(self) -> None:
        """To be called when its backend changed."""
        if self.state is ReplicaState.READY and not self._first.done():
            self._first.set_result(None)

    def over(self, news: Ended) -> None:
        self.ended.set()
        if not self._first.done():
            self._first.set_exception(_why(news))

    async def sleep(self, grace: float) -> None:
        """Its room on the node would be kept from others: it ends when it is not needed."""

    async def wake(self) -> None:
        return None


def _why(news: Ended) -> Exception:
    """An ending of its process is of its own making; all else is Ray's."""
    if news.exit_code is None:
        return NoCapacity(f"a replica did not start: {news.reason}")
    return SetupError(
        f"a replica did not start on its Ray node: {news.reason or f'exit code {news.exit_code}'}",
        hint="Its node needs this version of stoker, and the model under the same name.",
    )


def _seen(first: asyncio.Future[None]) -> None:
    """Nobody needs to ask why it did not start."""
    if not first.cancelled():
        first.exception()
