"""How many things happened lately, and how many of them were of a kind. Pure."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

BUCKETS = 10
"""A window moves on by a tenth of itself, and holds no more counters than this and one."""


class Counts(NamedTuple):
    all: int
    marked: int

    @property
    def share(self) -> float:
        return self.marked / self.all if self.all else 0.0


class RecentShare:
    def __init__(self, window_seconds: float) -> None:
        self._step = window_seconds / BUCKETS
        self._buckets: deque[tuple[int, Counts]] = deque()

    def add(self, now: float, *, all: int = 1, marked: int = 0) -> None:  # noqa: A002
        """`now` never decreases."""
        self._forget(now)
        bucket = int(now / self._step)
        last = self._buckets.pop()[1] if self._newest == bucket else Counts(0, 0)
        self._buckets.append((bucket, Counts(last.all + all, last.marked + marked)))

    def counts(self, now: float) -> Counts:
        """Of the window that ends now, to a tenth of its length."""
        self._forget(now)
        held = [counts for _, counts in self._buckets]
        return Counts(sum(one.all for one in held), sum(one.marked for one in held))

    def clear(self) -> None:
        self._buckets.clear()

    @property
    def _newest(self) -> int | None:
        return self._buckets[-1][0] if self._buckets else None

    def _forget(self, now: float) -> None:
        oldest = int(now / self._step) - BUCKETS
        while self._buckets and self._buckets[0][0] <= oldest:
            self._buckets.popleft()
