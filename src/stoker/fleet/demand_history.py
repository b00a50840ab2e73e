"""How much work came lately: what the autoscaler remembers of a pool. Pure and bounded."""

from __future__ import annotations

import math
from collections import deque

PIECE_SECONDS = 10.0
"""Work is remembered in pieces of this length."""
REMEMBERED_SECONDS = 1200.0
RECENT_SECONDS = 60.0


class DemandHistory:
    """Rates are replicas' worth of work: replica-seconds a second."""

    def __init__(self) -> None:
        self._recent: deque[tuple[float, float, float]] = deque()
        """End, length and work of the time between two samples."""
        self._pieces: deque[float] = deque(maxlen=int(REMEMBERED_SECONDS / PIECE_SECONDS))
        """Rates, the oldest first; of whole pieces only."""
        self._work = 0.0
        self._seconds = 0.0
        """Of the piece under way."""

    def add(self, time: float, seconds: float, work: float) -> None:
        """`work` came in the `seconds` before `time`, which are more than 0."""
        self._recent.append((time, seconds, work))
        while self._recent[0][0] <= time - RECENT_SECONDS:
            self._recent.popleft()
        self._work += work
        self._seconds += seconds
        if self._seconds >= PIECE_SECONDS:
            self._pieces.append(self._work / self._seconds)
            self._work = self._seconds = 0.0

    def rate(self, seconds: float) -> float:
        """Of the last `seconds`, at most RECENT_SECONDS; of less when less is known."""
        if not self._recent:
            return 0.0
        since = self._recent[-1][0] - seconds
        parts = [part for part in self._recent if part[0] > since]
        return sum(work for _, _, work in parts) / sum(length for _, length, _ in parts)

    def quantile(self, share: float) -> float:
        """A rate that this share of the remembered pieces stayed at or under."""
        return _quantile(list(self._pieces), share)

    def rise(self, share: float, seconds: float) -> float:
        """A rise of the rate within `seconds` that this share of all such spans stayed under."""
        step = max(1, round(seconds / PIECE_SECONDS))
        pieces = list(self._pieces)
        rises = [
            max(0.0, after - before) for before, after in zip(pieces, pieces[step:], strict=False)
        ]
        return max(0.0, _quantile(rises, share))


def _quantile(values: list[float], share: float) -> float:
    if not values:
        return 0.0
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]
