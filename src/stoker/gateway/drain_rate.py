"""How fast waiting work drains, measured from turns alone.

Every turn reports the units it got done and the seconds it took for them; their quotient, the
newest mattering most, is the pace of one turn, and a full pool drains as many times that as it has
turns (Little's law). Idle time is nobody's turn, so it is not mistaken for slowness; a burst is
many turns, each at its own pace; and when a replica is added the rate grows with the turns.
"""

from __future__ import annotations

import math

FIRST_PACE = 50.0
"""Units a second of one turn, until something was measured."""
FIRST_WEIGHT = 1.0
"""Seconds of turns that the first guess is worth."""
MEMORY_SECONDS = 60.0
"""Seconds of one turn after which a measurement counts a third; times the turns there are."""
MOST_AT_ONCE = 0.25
"""Of the memory: one turn that hung for an hour is not how fast turns are."""


class DrainRate:
    def __init__(self, first_pace: float = FIRST_PACE) -> None:
        self._units = first_pace * FIRST_WEIGHT
        self._seconds = FIRST_WEIGHT
        self._turn_seconds = 0.0
        self._num_turns = 0.0

    @property
    def pace(self) -> float:
        """Units a second of one turn. Never 0."""
        return max(self._units / self._seconds, 1e-6)

    @property
    def turn_seconds(self) -> float:
        """What a turn takes on average; 0 until one has ended."""
        return self._turn_seconds / self._num_turns if self._num_turns else 0.0

    def rate(self, turns: int) -> float:
        """Units a second of a pool with so many turns at once."""
        return self.pace * max(turns, 1)

    def seconds(self, units: float, turns: int) -> float:
        return units / self.rate(turns)

    def worked(self, units: float, seconds: float, turns: int) -> None:
        """One of `turns` turns got `units` done in `seconds`."""
        memory = MEMORY_SECONDS * max(turns, 1)
        counted = min(seconds, MOST_AT_ONCE * memory)
        kept = math.exp(-counted / memory)
        self._units = self._units * kept + (units * counted / seconds if seconds > 0 else units)
        self._seconds = self._seconds * kept + counted

    def ended(self, seconds: float, turns: int) -> None:
        """A turn that took `seconds` from its start to its end."""
        kept = 1 - 1 / (4 * max(turns, 1) + 1)
        self._turn_seconds = self._turn_seconds * kept + seconds
        self._num_turns = self._num_turns * kept + 1
