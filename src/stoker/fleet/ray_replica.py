"""A replica on a Ray node as the front sees it: first without a place, then at an address."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from stoker.errors import NoCapacity, SetupError
from stoker.fleet.interface import ReplicaId, ReplicaState
from stoker.fleet.ray_messages import Ended
from stoker.fleet.remote import RemoteBackend
from stoker.fleet.remote_placer import STATES
from stoker.fleet.unplaced_backend import UnplacedBackend

log = logging.getLogger(__name__)

SILENT_SECONDS = 60.0
"""So long without an answer, and it is ended. An engine that starts again is not silent."""


class RayReplica:
    def __init__(
        self,
        replica_id: ReplicaId,
        leave: Callable[[ReplicaId, float], Awaitable[None]],
        end: Callable[[ReplicaId, float], None],
    ) -> None:
        """`leave` drains and ends it for good; `end` gives it
        so long to end by itself, and another follows."""
        self.replica_id = replica_id
        self.backend: RemoteBackend | UnplacedBackend = UnplacedBackend()
        self.waits_for = ""
        """Why no node takes it; empty: one did, or it was not asked yet."""
        self.leaving = False
        """It was told to go, so nothing takes its place."""
        self.ended = asyncio.Event()
        self._leave = leave
        self._end = end
        self._silence: asyncio.TimerHandle | None = None
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

    async def sleep(self, grace: float) -> None:
        """It cannot: it would keep its room on the node from others. It leaves instead."""
        await self._leave(self.replica_id, grace)

    async def wake(self) -> None:
        return None

    # --- what becomes of it -----------------------------------------------------------------

    def observed(self) -> None:
        """To be called when its backend changed."""
        if self.state is ReplicaState.READY and not self._first.done():
            self._first.set_result(None)
        if self.state is not ReplicaState.UNWELL:
            self._unwatch()
        elif self._silence is None:
            self._watch()

    def over(self, news: Ended) -> None:
        self._unwatch()
        self.ended.set()
        if not self._first.done():
            self._first.set_exception(_why(news))

    def _watch(self) -> None:
        self._silence = asyncio.get_running_loop().call_later(SILENT_SECONDS, self._still_unwell)

    def _unwatch(self) -> None:
        if self._silence is not None:
            self._silence.cancel()
            self._silence = None

    def _still_unwell(self) -> None:
        if isinstance(self.backend, RemoteBackend) and not self.backend.answers:
            log.warning("%s has been silent for %g s and is ended", self.replica_id, SILENT_SECONDS)
            self._end(self.replica_id, 0.0)
        else:
            self._watch()


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
