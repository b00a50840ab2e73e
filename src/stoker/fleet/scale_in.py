"""When fewer replicas may be kept: late, slowly, and not for a trifle. Pure.

With a cold start of minutes, replicas given up too early cost more waiting than any cleverness
wins back. So nothing is given up before fewer were enough for one whole window.
"""

from __future__ import annotations

from collections import deque

WINDOW_SECONDS = 300.0
"""Or twice a cold start, if that is longer."""
PER_SECOND = 0.1 / 60.0
"""Share of the replicas that may be given up: a tenth a minute."""
WORTHWHILE = 0.9
"""Times what there is: giving up begins only when no more than this is needed, so that a count
between two numbers does not flap."""
ROUNDING = 1e-6


class ScaleIn:
    def __init__(self) -> None:
        self._needed: deque[tuple[float, int]] = deque()
        """What was needed when; falling, so the first is the most within the window."""
        self._since = 0.0
        self._last = 0.0
        """When replicas were, or could not be, given up."""
        self._under_way = False

    def begin(self, now: float) -> None:
        """What was before is not known."""
        self._since = self._last = now
        self._needed.clear()
        self._under_way = False

    def remember(self, now: float, needed: int) -> None:
        while self._needed and self._needed[-1][1] <= needed:
            self._needed.pop()
        self._needed.append((now, needed))

    def allowed(self, now: float, count: int, cold_seconds: float) -> int:
        """How many of `count` replicas to keep. To be called after every `remember`."""
        window = max(WINDOW_SECONDS, 2 * cold_seconds)
        while self._needed[0][0] <= now - window:
            self._needed.popleft()
        most = self._needed[0][1]
        worthwhile = self._under_way or most <= WORTHWHILE * count
        if now - self._since < window or most >= count or not worthwhile:
            self._under_way = False
            self._last = now
            return count
        self._under_way = True
        leaving = int(count * PER_SECOND * (now - self._last) + ROUNDING)
        if leaving:
            self._last = now
        return max(most, count - leaving)
