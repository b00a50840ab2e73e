"""Tells a queue that stands from one that a burst left behind, after CoDel (Nichols and Jacobson,
ACM Queue 2012): what a burst left drains, a standing queue does not and helps nobody.

CoDel looks at how long packets waited. Here requests overtake each other on purpose, so that one
that waited briefly says nothing; looked at is how long all that waits would take.
"""

from __future__ import annotations

INTERVALS_PER_BAND = 4
"""Of standing, until everything of the lowest band is refused and the next band's turn comes."""
DRAINS = 0.8
"""A backlog that is less than this share of what it was at its most in the interval is draining."""


class StandingQueue:
    def __init__(self) -> None:
        self.intervals = 0
        """In which the backlog stayed above its target and did not drain."""
        self._since: float | None = None
        """When this interval began; None while the backlog is below its target."""
        self._most = 0.0

    def observe(self, backlog_seconds: float, target: float, interval: float, now: float) -> None:
        """To be called whenever the backlog has changed."""
        if backlog_seconds < target:
            self._since, self.intervals = None, 0
        elif self._since is None:
            self._begin(backlog_seconds, now)
        elif now - self._since < interval:
            self._most = max(self._most, backlog_seconds)
        else:
            self.intervals += backlog_seconds > DRAINS * self._most
            self._begin(backlog_seconds, now)

    def shed_share(self, rank: int) -> float:
        """What share of a band's new requests to refuse: a quarter more with each interval. The
        lowest band with something waiting has rank 0; the next one's share follows after it."""
        steps = self.intervals - rank * INTERVALS_PER_BAND
        return min(max(steps / INTERVALS_PER_BAND, 0.0), 1.0)

    def _begin(self, backlog_seconds: float, now: float) -> None:
        self._since, self._most = now, backlog_seconds
