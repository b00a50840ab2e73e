"""Finds the backend that fails much more than its siblings, before a breaker would. Pure.

One that fails a third of what it is asked never opens a breaker, yet spoils every third answer
while its siblings are well.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from stoker.gateway.upstream.recent_share import RecentShare


class OutlierLimits(msgspec.Struct, frozen=True, kw_only=True):
    worse_by: float = 0.2
    """Its share of failures is over that of all its siblings together by so much."""
    least_requests: int = 10
    """In the window, of it and of its siblings."""
    window_seconds: float = 30.0
    ejected_seconds: float = 30.0
    """Times how often it was, up to `longest_ejected_seconds`."""
    longest_ejected_seconds: float = 300.0
    largest_share: float = 0.5
    """Of all backends that may be ejected at once."""


class _Record:
    def __init__(self, window_seconds: float) -> None:
        self.recent = RecentShare(window_seconds)
        self.until = 0.0
        self.times = 0


class Outliers:
    """Times never decrease."""

    def __init__(self, names: Iterable[str], limits: OutlierLimits | None = None) -> None:
        self._limits = limits or OutlierLimits()
        window = self._limits.window_seconds
        self._records = {name: _Record(window) for name in names}

    def ended(self, name: str, now: float, *, failed: bool) -> float:
        """Counts one request. Returns for how many seconds the backend is ejected now; mostly 0."""
        record = self._records[name]
        record.recent.add(now, marked=int(failed))
        if failed and not self.ejected(name, now) and self._stands_out(name, now):
            record.times += 1
            longest = self._limits.longest_ejected_seconds
            seconds = min(self._limits.ejected_seconds * record.times, longest)
            record.until = now + seconds
            record.recent.clear()
            return seconds
        return 0.0

    def ejected(self, name: str, now: float) -> bool:
        return now < self._records[name].until

    def _stands_out(self, name: str, now: float) -> bool:
        out = sum(self.ejected(other, now) for other in self._records)
        if out + 1 > self._limits.largest_share * len(self._records):
            return False
        own = self._records[name].recent.counts(now)
        siblings = [
            record.recent.counts(now) for other, record in self._records.items() if other != name
        ]
        asked, failed = sum(one.all for one in siblings), sum(one.marked for one in siblings)
        if min(own.all, asked) < self._limits.least_requests:
            return False
        return own.share - failed / asked >= self._limits.worse_by
