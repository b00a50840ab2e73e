"""How fast waiting work drains, measured from turns alone.

Every turn reports the units it got done and the seconds it took for them; their quotient, the
newest mattering most, is the pace of one turn, and a full pool drains as many times that as it has
turns (Little's law). Idle time is nobody's turn, so it is not mistaken for slowness; a burst is
many turns, each at its own pace; and when a replica is added the rate grows with the turns. Turns
are quicker in an empty pool, so what is measured there counts less.
"""

from __future__ import annotations

import math

from stoker.gateway.spread import Spread

FIRST_PACE = 50.0
"""Units a second of one turn, until something was measured."""
FIRST_WEIGHT = 1.0
"""Seconds of turns that the first guess is worth."""
MEMORY_SECONDS = 60.0
"""Seconds of one turn after which a measurement counts a third; times the turns there are."""
MOST_AT_ONCE = 0.25
"""Of the memory: one turn that hung for an hour is not how fast turns are."""
TURNS_REMEMBERED = 4
"""Of each place, to say what a turn takes."""


class DrainRate:
    def __init__(self, first_pace: float = FIRST_PACE) -> None:
        self._units = first_pace * FIRST_WEIGHT
        self._seconds = FIRST_WEIGHT
        self._turns = Spread()

    @property
    def pace(self) -> float:
        """Units a second of one turn. Never 0."""
        return max(self._units / self._seconds, 1e-6)

    @property
    def turn_seconds(self) -> float:
        """What a turn takes on average; 0 until one has ended."""
        return self._turns.average

    @property
    def long_turn_seconds(self) -> float:
        """What hardly any turn exceeds."""
        return self._turns.average + 2 * self._turns.deviation

    def rate(self, turns: int) -> float:
        """Units a second of a pool with so many turns at once."""
        return self.pace * max(turns, 1)

    def seconds(self, units: float, turns: int) -> float:
        return units / self.rate(turns)

    def worked(self, units: float, seconds: float, in_flight: int, turns: int) -> None:
        """One of `in_flight` turns, of `turns` that there may be, got `units` done in `seconds`."""
        memory = MEMORY_SECONDS * max(turns, 1)
        weight = min(in_flight / max(turns, 1), 1.0)
        counted = min(weight * seconds, MOST_AT_ONCE * memory)
        kept = math.exp(-counted / memory)
        share = counted / seconds if seconds > 0 else weight
        self._units = self._units * kept + units * share
        self._seconds = self._seconds * kept + counted

    def ended(self, seconds: float, turns: int) -> None:
        """A turn that took `seconds` from its start to its end."""
        self._turns.add(seconds, TURNS_REMEMBERED * max(turns, 1))
