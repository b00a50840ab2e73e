"""What is known of one backend: whether it may be asked, and whether others should go first.

Pure.
"""

from __future__ import annotations

from stoker.gateway.upstream.breaker import Breaker, BreakerState, Outcome, Passage
from stoker.gateway.upstream.slow_start import SlowStart

LONGEST_LEFT_ALONE = 60.0


class Standing:
    """Times never decrease."""

    def __init__(self) -> None:
        self.breaker = Breaker()
        self._slow_start = SlowStart()
        self._ejected_until = 0.0
        self._left_alone_until = 0.0
        self._healthy = True

    def end(self, passage: Passage, outcome: Outcome, now: float) -> None:
        before = self.breaker.state(now)
        self.breaker.end(passage, outcome, now)
        closed = self.breaker.state(now) is BreakerState.CLOSED
        if before is not BreakerState.CLOSED and closed:
            self._slow_start.begin(now)

    def probed(self, now: float, *, healthy: bool) -> None:
        """What its health path said. It decides who goes first, never who is asked at all: a path
        that is set wrong must not take a backend out of service."""
        if healthy and not self._healthy:
            self._slow_start.begin(now)
        self._healthy = healthy

    def eject(self, now: float, seconds: float) -> None:
        self._ejected_until = now + seconds
        self._slow_start.begin(now + seconds)

    def leave_alone(self, now: float, seconds: float) -> None:
        """It asked for that (Retry-After). Limits may hold for one model or client only, so a
        request that no other target can answer is still sent."""
        self._left_alone_until = now + min(seconds, LONGEST_LEFT_ALONE)

    def weight(self, now: float) -> float:
        """The share of requests for which it keeps its place in a route; 0: others go first."""
        until = max(self._ejected_until, self._left_alone_until)
        out = now < until or not self._healthy
        if out or self.breaker.state(now) is BreakerState.OPEN:
            return 0.0
        return self._slow_start.weight(now)
