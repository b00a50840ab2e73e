"""Where requests for one model wait for their turn: the waiting room's face to an event loop."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Callable
from types import TracebackType

from stoker.core.clock import Clock, SystemClock
from stoker.errors import DeadlineExceeded, Draining, InternalError, StokerError
from stoker.gateway.capacity import Capacity
from stoker.gateway.entry import Entry
from stoker.gateway.queue_report import QueueReport
from stoker.gateway.usage import Usage
from stoker.gateway.waiting_room import QueueBounds, WaitingRoom


class Turn:
    """One request's turn. Entering waits for it and leaving gives it back; so does cancelling, at
    any point.

    Entering raises Overloaded or Draining at once, and DeadlineExceeded when its time ran out while
    it waited, which takes no longer than that.
    """

    __slots__ = ("_turnstile", "call", "entry", "refusal", "running", "usage")

    def __init__(self, turnstile: Turnstile, entry: Entry) -> None:
        self._turnstile = turnstile
        self.entry = entry
        self.usage: Usage | None = None
        self.running = False
        self.refusal: StokerError | None = None
        self.call: asyncio.Future[None] | None = None
        """Made when it has to wait, done when it need not any more."""

    def used(self, usage: Usage) -> None:
        """All that the request has used until now. To be called as tokens arrive, or once at the
        end, or not at all: then it counts as what was expected."""
        self.usage = usage
        self._turnstile.used(self)

    def decide(self, refusal: StokerError | None) -> None:
        """By the turnstile: it is running now, or never will be."""
        self.refusal = refusal
        self.running = refusal is None
        if self.call is not None and not self.call.done():
            self.call.set_result(None)

    async def __aenter__(self) -> Turn:
        self._turnstile.join(self)
        if self.call is not None:
            try:
                await self.call
            except BaseException:
                self._turnstile.leave(self)
                raise
        if self.refusal is not None:
            raise self.refusal
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._turnstile.leave(self)


class Turnstile:
    """One per pool of replicas. All methods belong to one event loop; no task is started.

    At most `capacity()` is in flight at once; call `changed` when it has grown.
    """

    def __init__(
        self,
        bounds: QueueBounds,
        capacity: Callable[[], Capacity],
        *,
        clock: Clock | None = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._room = WaitingRoom(bounds, capacity, chance)
        self._clock = clock or SystemClock()
        self._waiting: dict[str, Turn] = {}
        self._closed = False
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = math.inf

    def turn(self, entry: Entry) -> Turn:
        """`async with turnstile.turn(entry) as turn:` holds a place at the replicas."""
        return Turn(self, entry)

    def expected_output(self, tenant: str, most: int) -> int:
        """New tokens that a request of this tenant will hardly exceed, of the `most` it may."""
        return self._room.answers.expected(tenant, most)

    def changed(self) -> None:
        """There may be room now: a replica came, or can do more."""
        self._advance()

    def configure(self, bounds: QueueBounds) -> None:
        """Holds for whoever comes from now on."""
        self._room.bounds = bounds

    def close(self) -> None:
        """Refuses all that wait and all that come, with Draining. Those in flight go on. Safe to
        call twice."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        now, waiting = self._clock.monotonic(), list(self._waiting.values())
        self._waiting.clear()
        for turn in waiting:
            self._room.leave(turn.entry.request_id, now)
            turn.decide(_draining())

    def report(self) -> QueueReport:
        return self._room.report(self._clock.monotonic())

    # --- called by turns --------------------------------------------------------------------

    def join(self, turn: Turn) -> None:
        if self._closed:
            raise _draining()
        request_id = turn.entry.request_id
        if request_id in self._room:
            raise InternalError("two requests have the same id")
        self._room.join(turn.entry, self._clock.monotonic())
        self._waiting[request_id] = turn
        self._advance()
        if request_id in self._waiting:
            turn.call = asyncio.get_running_loop().create_future()

    def used(self, turn: Turn) -> None:
        if turn.running and turn.usage is not None:
            self._room.used(turn.entry.request_id, turn.usage, self._clock.monotonic())

    def leave(self, turn: Turn) -> None:
        """Whatever it holds is given back. Nothing happens the second time."""
        request_id, now = turn.entry.request_id, self._clock.monotonic()
        if turn.running:
            turn.running = False
            self._room.ended(request_id, turn.usage, now)
        elif self._waiting.pop(request_id, None) is not None:
            self._room.leave(request_id, now)
        self._advance()

    # --- turns come -------------------------------------------------------------------------

    def _advance(self) -> None:
        now = self._clock.monotonic()
        while True:
            for entry in self._room.late(now):
                self._waiting.pop(entry.request_id).decide(_late())
            started = self._room.next(now)
            if started is None:
                break
            self._waiting.pop(started.request_id).decide(None)
        self._arm(now)

    def _arm(self, now: float) -> None:
        """One timer for all, at the first deadline; it may ring in vain, but never late."""
        deadline = self._room.next_deadline
        if deadline >= self._timer_at or self._closed:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = deadline
        self._timer = asyncio.get_running_loop().call_later(deadline - now, self._ring)

    def _ring(self) -> None:
        self._timer, self._timer_at = None, math.inf
        self._advance()


def _draining() -> Draining:
    return Draining("the server is shutting down")


def _late() -> DeadlineExceeded:
    return DeadlineExceeded("the request's time ran out while it waited for its turn")
