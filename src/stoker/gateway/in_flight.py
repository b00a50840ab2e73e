"""Requests that have got their turn and not ended: what they hold, and what they were charged."""

from __future__ import annotations

from stoker.gateway.capacity import Capacity
from stoker.gateway.drain_rate import DrainRate
from stoker.gateway.entry import Entry, work_units
from stoker.gateway.usage import Usage


class _Turn:
    __slots__ = ("begun", "charged", "done", "entry", "reported")

    def __init__(self, entry: Entry, now: float) -> None:
        self.entry = entry
        self.begun = self.reported = now
        self.done = 0.0
        """Units that counted as drained already."""
        self.charged = entry.units

    def actual(self, usage: Usage) -> float:
        return self.entry.price_ratio * work_units(usage)


class InFlight:
    """Tells `drain` how fast its requests get on."""

    def __init__(self, drain: DrainRate) -> None:
        self._drain = drain
        self._turns: dict[str, _Turn] = {}
        self.places = 0
        """Sequences of all requests together."""
        self.tokens = 0

    def __len__(self) -> int:
        return len(self._turns)

    def __contains__(self, request_id: str) -> bool:
        return request_id in self._turns

    def entry(self, request_id: str) -> Entry:
        return self._turns[request_id].entry

    def fits(self, entry: Entry, capacity: Capacity) -> bool:
        """One that is larger than the whole capacity fits when it is alone."""
        if not self._turns:
            return capacity.turns > 0
        return (
            self.places + entry.sequences <= capacity.turns
            and self.tokens + entry.tokens <= capacity.tokens
        )

    def start(self, entry: Entry, now: float) -> None:
        self._turns[entry.request_id] = _Turn(entry, now)
        self.places += entry.sequences
        self.tokens += entry.tokens

    def used(self, request_id: str, usage: Usage, now: float, turns: int) -> float:
        """Returns the units that were used and not charged yet."""
        turn = self._turns[request_id]
        actual = turn.actual(usage)
        if actual > turn.done:
            self._worked(turn, actual, now, turns)
        missing = max(actual - turn.charged, 0.0)
        turn.charged += missing
        return missing

    def end(self, request_id: str, usage: Usage | None, now: float, turns: int) -> float:
        """Returns the units that `usage` differs by from what was charged; not known: none.

        All that was expected counts as drained, whether or not it was used: the backlog is made of
        expectations too, so if they are too high throughout, its seconds are right all the same.
        """
        turn = self._turns[request_id]
        actual = turn.charged if usage is None else turn.actual(usage)
        self._worked(turn, max(turn.entry.units, actual), now, turns)
        self.places -= turn.entry.sequences
        self.tokens -= turn.entry.tokens
        del self._turns[request_id]
        self._drain.ended(now - turn.begun, turns)
        return actual - turn.charged

    def _worked(self, turn: _Turn, done: float, now: float, turns: int) -> None:
        units, seconds = max(done - turn.done, 0.0), now - turn.reported
        self._drain.worked(units, seconds * turn.entry.sequences, self.places, turns)
        turn.done = max(turn.done, done)
        turn.reported = now
