"""One request whose replica answers the client by itself: from its turn to the end of its answer.

Nothing of the answer passes here, so that it cannot be carried on elsewhere.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from msgspec.structs import replace

from stoker import errors
from stoker.core.clock import Clock
from stoker.core.output import Finish
from stoker.core.request import Request
from stoker.engine.interface import EngineState
from stoker.fleet.interface import AnsweringBackend, HandedOver, Replica
from stoker.fleet.replica_protocol import Outcome
from stoker.gateway.replica_account import Dispatched
from stoker.gateway.replica_set import ReplicaSet

WAIT_SECONDS = 600.0
"""For a replica, when a request has no deadline of its own."""


class Handover:
    def __init__(self, request: Request, body: str, replicas: ReplicaSet, clock: Clock) -> None:
        """`body` is the digest of the client's request."""
        seconds = WAIT_SECONDS if request.timeout is None else request.timeout
        self._request = request
        self._body = body
        self._replicas = replicas
        self._clock = clock
        self._latest = clock.monotonic() + seconds
        self._stopped = False
        self._handed: HandedOver | None = None

    def stop(self, finish: Finish) -> None:
        """The replica goes on; how the request ends is not waited for any more."""
        self._stopped = True
        self._replicas.wake()
        if self._handed is not None:
            self._handed.give_up()

    @asynccontextmanager
    async def at_replica(self) -> AsyncIterator[Placed]:
        """Its place is held until left. Raises StokerError when no replica takes it."""
        backend, entry = await self._placed()
        try:
            left = max(0.0, self._latest - self._clock.monotonic())
            self._handed = backend.hand_over(replace(self._request, timeout=left), self._body)
            yield Placed(self._handed, entry)
        finally:
            self._replicas.ended(entry)

    async def _placed(self) -> tuple[AnsweringBackend, Dispatched]:
        while True:
            now = self._clock.monotonic()
            self._check_hope(now)
            able = answering(self._replicas.taking(()))
            if able:
                replica, entry = self._replicas.dispatch(self._request, list(able))
                return able[replica], entry
            await self._replicas.changed(self._latest - now)

    def _check_hope(self, now: float) -> None:
        if self._stopped:
            raise errors.Draining("the server is shutting down")
        if self._replicas.state is EngineState.STOPPED:
            raise errors.NoCapacity("no replica is left")
        if now >= self._latest:
            raise errors.DeadlineExceeded("no replica was free in time")


class Placed:
    """A request at its replica."""

    def __init__(self, handed: HandedOver, entry: Dispatched) -> None:
        self.headers = handed.headers
        self._handed = handed
        self._entry = entry

    async def outcome(self) -> Outcome | None:
        """As HandedOver's."""
        outcome = await self._handed.outcome()
        if outcome is not None:
            self._entry.num_output = outcome.output_tokens
        return outcome

    def came_back(self) -> None:
        """As HandedOver's."""
        self._handed.came_back()

    def note(self) -> None:
        """As HandedOver's."""
        self._handed.note()


def answering(replicas: Sequence[Replica]) -> dict[Replica, AnsweringBackend]:
    """Those that can answer clients by themselves."""
    return {
        one: one.backend
        for one in replicas
        if isinstance(one.backend, AnsweringBackend) and one.backend.address
    }
