"""Retries are a share of what clients ask, so that they cannot multiply an overload. Pure.

Retries without a bound turn a slow server into a dead one: with three tries each, a server that
fails everything gets three times its load (Envoy's retry budgets are the model).
"""

from __future__ import annotations

from stoker.gateway.upstream.recent_share import RecentShare

SHARE = 0.2
FLOOR = 3
WINDOW_SECONDS = 10.0


class RetryBudget:
    def __init__(
        self, share: float = SHARE, floor: int = FLOOR, window_seconds: float = WINDOW_SECONDS
    ) -> None:
        """At most `share` of the window's requests, and `floor` where there were few."""
        self._share = share
        self._floor = floor
        self._recent = RecentShare(window_seconds)

    def request(self, now: float) -> None:
        """A client's request came. `now` never decreases, here as below."""
        self._recent.add(now)

    def take(self, now: float) -> bool:
        """Whether one may be tried again; if so it is counted."""
        recent = self._recent.counts(now)
        if recent.marked + 1 > max(self._floor, int(self._share * recent.all)):
            return False
        self._recent.add(now, all=0, marked=1)
        return True
