"""How much each replica was given lately, so that homes of conversations spread evenly even while
nobody has to wait and queues therefore say nothing."""

from __future__ import annotations

import math

HALVED_AFTER = 200.0
"""Seconds until work given counts half."""
_DECAY = math.log(2) / HALVED_AFTER


class RecentWork:
    """Seconds of work by replica, fading. One that is new is taken to have had the mean, so that
    not everything goes there at once."""

    def __init__(self) -> None:
        self._given: dict[str, tuple[float, float]] = {}
        """Seconds of work as of a time."""

    def of(self, replica_id: str, now: float) -> float:
        known = self._given.get(replica_id)
        if known is None:
            known = self._given[replica_id] = (self._mean(now), now)
        work, then = known
        return work * math.exp((then - now) * _DECAY)

    def add(self, replica_id: str, seconds: float, now: float) -> None:
        self._given[replica_id] = (self.of(replica_id, now) + seconds, now)

    def gone(self, replica_id: str) -> None:
        self._given.pop(replica_id, None)

    def _mean(self, now: float) -> float:
        count = len(self._given)
        return sum(self.of(known, now) for known in self._given) / count if count else 0.0
