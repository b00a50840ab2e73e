"""An average that follows what it is made of, and how far off single values usually are."""

from __future__ import annotations

MOST_TIMES = 8.0
"""The average that one value can count for: one turn that hung for an hour is not how turns are."""


class Spread:
    """Reckoned as TCP does the time of a round trip (Jacobson, SIGCOMM 1988)."""

    __slots__ = ("_seen", "average", "deviation")

    def __init__(self) -> None:
        self._seen = 0
        self.average = 0.0
        self.deviation = 0.0

    def __bool__(self) -> bool:
        """Whether anything was seen."""
        return self._seen > 0

    def add(self, value: float, remembered: int) -> None:
        """`value` counts as one of the last `remembered`."""
        if self.average:
            value = min(value, MOST_TIMES * self.average)
        self._seen = min(self._seen + 1, remembered)
        off = value - self.average
        self.average += off / self._seen
        self.deviation += (abs(off) - self.deviation) / (self._seen + 1)
