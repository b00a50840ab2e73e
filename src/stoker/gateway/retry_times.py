"""When refused clients should come back: each at a time of its own, when there is room for it.

Told the same time, they would all come back together and all but one be refused again.
"""

from __future__ import annotations

MOST_SECONDS = 60.0
"""Clients do not wait for much longer; the official ones ignore more than two minutes."""
MOST_TENANTS = 1024
JITTER = 0.1
PROMISED_SHARE = 0.5
"""Of what a tenant will get; the rest is for requests that come for the first time."""


class RetryTimes:
    def __init__(self) -> None:
        self._taken_until: dict[str, float] = {}
        """By tenant, until when its part of the future is given away already."""

    def __len__(self) -> int:
        return len(self._taken_until)

    def after(
        self, tenant: str, wait: float, work_seconds: float, now: float, chance: float
    ) -> float:
        """Seconds to tell a client whose request could start in `wait` seconds, and then would keep
        its tenant's share busy for `work_seconds`. `chance`, from 0 to 1, moves it back a little.
        """
        at = max(now + wait, self._taken_until.pop(tenant, 0.0))
        at = min(at, now + MOST_SECONDS)
        self._taken_until[tenant] = at + work_seconds / PROMISED_SHARE
        self._tidy(now)
        return (at - now) * (1 + JITTER * chance)

    def _tidy(self, now: float) -> None:
        oldest = next(iter(self._taken_until))
        if len(self._taken_until) > MOST_TENANTS or self._taken_until[oldest] < now:
            del self._taken_until[oldest]
