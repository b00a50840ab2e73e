"""Tells a queue that stands from one that a burst left behind, after CoDel (Nichols and Jacobson,
ACM Queue 2012): a burst drains now and then, a standing queue never does and helps nobody.

CoDel looks at how long packets waited. Here requests overtake each other on purpose, so that one
that waited briefly says nothing; looked at is how long all that waits would take.
"""

from __future__ import annotations

INTERVALS_PER_BAND = 4
"""Of standing, until everything of the lowest band is refused and the next band's turn comes."""


class StandingQueue:
    def __init__(self) -> None:
        self._since: float | None = None

    def observe(self, backlog_seconds: float, target: float, now: float) -> None:
        """To be called whenever the backlog changed."""
        if backlog_seconds < target:
            self._since = None
        elif self._since is None:
            self._since = now

    def intervals(self, interval: float, now: float) -> int:
        """How many whole ones the backlog has been above its target for."""
        return 0 if self._since is None else int((now - self._since) / interval)

    def shed_share(self, rank: int, interval: float, now: float) -> float:
        """What share of a band's new requests to refuse: a quarter more with each interval. The
        lowest band with something waiting has rank 0; the next one's share follows after it."""
        steps = self.intervals(interval, now) - rank * INTERVALS_PER_BAND
        return min(max(steps / INTERVALS_PER_BAND, 0.0), 1.0)
