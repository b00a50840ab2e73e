"""The decisions about one model's waiting requests: who may join, who is next, who is too late.

Bounded in seconds: how long a request would wait is what goes before it over how fast work drains.
Pure: the turnstile asks it in a server, and a simulation with a clock of its own may.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from stoker.errors import Overloaded
from stoker.gateway.answer_lengths import AnswerLengths
from stoker.gateway.capacity import Capacity
from stoker.gateway.drain_rate import DrainRate
from stoker.gateway.entry import Entry
from stoker.gateway.fair_queue import FairQueue
from stoker.gateway.in_flight import InFlight
from stoker.gateway.queue_report import QueueReport, Refusal
from stoker.gateway.retry_times import RetryTimes
from stoker.gateway.standing_queue import StandingQueue
from stoker.gateway.usage import Usage


class QueueBounds(Protocol):
    """The `queue` section of the configuration, which says what these are."""

    @property
    def max_seconds(self) -> float: ...
    @property
    def standing_seconds(self) -> float: ...
    @property
    def standing_interval_seconds(self) -> float: ...


class WaitingRoom:
    def __init__(
        self,
        bounds: QueueBounds,
        capacity: Callable[[], Capacity],
        random: Callable[[], float],
    ) -> None:
        """`capacity` is asked whenever somebody may start; `random` gives numbers from 0 to 1."""
        self.bounds = bounds
        """May be replaced at any time."""
        self.answers = AnswerLengths()
        """Of what has ended here."""
        self._capacity = capacity
        self._random = random
        self._queue = FairQueue()
        self._standing = StandingQueue()
        self._retry_times = RetryTimes()
        self._drain = DrainRate()
        self._in_flight = InFlight(self._drain)
        self._turns = 1
        """That the pool had when it last had any."""
        self._full_at = 0
        """Places in use when there was not room for another; 0: there may be room."""
        self._refused = dict.fromkeys(Refusal, 0)
        self._late = 0
        self._arrived_units = 0.0

    def __contains__(self, request_id: str) -> bool:
        """Whether it waits or is in flight."""
        return request_id in self._queue or request_id in self._in_flight

    # --- coming and going -------------------------------------------------------------------

    def join(self, entry: Entry, now: float) -> None:
        """Raises Overloaded, with the time to come back after, rather than let it wait for longer
        than is allowed or than it has got. A request that need not wait is never refused."""
        self._arrived_units += entry.units
        wait = self._wait(entry)
        refusal = None if wait == 0.0 else self._refusal(entry, wait, now)
        if refusal is not None:
            self._refused[refusal] += 1
            raise self._overloaded(entry, refusal, wait, now)
        self._queue.push(entry)
        self._observe(now)

    def leave(self, request_id: str, now: float) -> None:
        """It waits no longer: nobody wants it any more. Unknown ids are ignored."""
        if self._queue.remove(request_id) is not None:
            self._observe(now)

    def late(self, now: float) -> list[Entry]:
        """Takes out those that wait in vain: their deadline has passed, or their turn has come
        and it cannot be met any more."""
        found = self._queue.expired(now)
        while (head := self._queue.head()) is not None and now > self._latest_start(head):
            self._queue.remove(head.request_id)
            found.append(head)
        self._late += len(found)
        return found

    def next(self, now: float) -> Entry | None:
        """Who starts now, if somebody waits and there is room. `ended` is to follow."""
        entry, self._full_at = self._queue.head(), 0
        if entry is None:
            return None
        if not self._in_flight.fits(entry, self._capacity()):
            self._full_at = self._in_flight.places
            return None
        self._queue.take(entry)
        self._in_flight.start(entry, now)
        self._observe(now)
        return entry

    def used(self, request_id: str, usage: Usage, now: float) -> None:
        """What a request in flight has used until now: its tenant is charged for all it gets, even
        if less was expected."""
        entry = self._in_flight.entry(request_id)
        missing = self._in_flight.used(request_id, usage, now, self._full_turns())
        if missing:
            self._queue.charge(entry, missing)

    def ended(self, request_id: str, usage: Usage | None, now: float) -> None:
        """Its place is free, and its tenant gets back what was charged beyond `usage`. None: as
        much as was expected."""
        entry = self._in_flight.entry(request_id)
        difference = self._in_flight.end(request_id, usage, now, self._full_turns())
        self._queue.charge(entry, difference)
        self._queue.ended(entry)
        if usage is not None and usage.output_tokens:
            self.answers.learn(entry.tenant, usage.output_tokens)

    # --- what is known ----------------------------------------------------------------------

    @property
    def next_deadline(self) -> float:
        """When `late` finds somebody though nothing else happens. Infinity: never."""
        return self._queue.next_deadline

    def report(self, now: float) -> QueueReport:
        oldest, turns = self._queue.oldest_arrival(), self._full_turns()
        return QueueReport(
            waiting=len(self._queue),
            in_flight=len(self._in_flight),
            tokens_in_flight=self._in_flight.tokens,
            capacity=self._capacity(),
            backlog_seconds=self._drain.seconds(self._queue.units, turns),
            drain_rate=self._drain.rate(turns),
            oldest_wait=0.0 if oldest is None else now - oldest,
            standing_intervals=self._standing.intervals,
            by_band=self._queue.waiting(),
            refused=dict(self._refused),
            late=self._late,
            arrived_units=self._arrived_units,
        )

    # --- who may join -----------------------------------------------------------------------

    def _refusal(self, entry: Entry, wait: float, now: float) -> Refusal | None:
        if wait > self.bounds.max_seconds:
            return Refusal.FULL
        if now + wait > self._latest_start(entry):
            return Refusal.DEADLINE
        if wait > self.bounds.standing_seconds and self._random() < self._shed_share(entry):
            return Refusal.STANDING
        return None

    def _overloaded(self, entry: Entry, refusal: Refusal, wait: float, now: float) -> Overloaded:
        work = self._drain.seconds(entry.units, self._full_turns()) / self._queue.share(entry)
        after = self._retry_times.after(entry.tenant, wait, work, now, self._random())
        return Overloaded(f"{refusal.value}: it would wait {wait:.0f} s", retry_after=after)

    def _wait(self, entry: Entry) -> float:
        """Seconds until it would start: what goes before it drains, and then a place is free."""
        if not self._queue and self._in_flight.fits(entry, self._capacity()):
            return 0.0
        turns = self._full_turns()
        free = self._drain.turn_seconds / turns
        turns -= self._queue.content(entry)
        return free + self._drain.seconds(self._queue.ahead(entry), turns)

    def _latest_start(self, entry: Entry) -> float:
        """After it, there may not be time enough for a turn. Who gave less time than a turn takes
        is content with part of an answer, and waits for half of that time at most."""
        allowed = entry.deadline - entry.arrival
        return entry.deadline - min(self._drain.long_turn_seconds, allowed / 2)

    def _shed_share(self, entry: Entry) -> float:
        lowest = self._queue.lowest_band
        rank = 0 if lowest is None else max(lowest - entry.band, 0)
        return self._standing.shed_share(rank)

    def _full_turns(self) -> int:
        """Places in use while there is not room for another: fewer than there are turns when
        memory is what there is no more of. While there is no replica, as when there were."""
        self._turns = self._capacity().turns or self._turns
        return min(self._full_at or self._turns, self._turns)

    def _observe(self, now: float) -> None:
        backlog = self._drain.seconds(self._queue.units, self._full_turns())
        bounds = self.bounds
        self._standing.observe(
            backlog, bounds.standing_seconds, bounds.standing_interval_seconds, now
        )
