"""Stops asking a backend that fails, and finds out with a few requests when it is well again.

Pure. Closed: all pass. Open: none, for a time that doubles while the backend stays ill. Half-open:
a few at a time, and each of them decides.
"""

from __future__ import annotations

import enum

import msgspec

from stoker.gateway.upstream.recent_share import RecentShare


class BreakerState(enum.Enum):
    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Outcome(enum.Enum):
    ANSWERED = "answered"
    FAILED = "failed"
    UNKNOWN = "unknown"
    """It says nothing of the backend: the client left, or was refused for a fault of its own."""


class BreakerLimits(msgspec.Struct, frozen=True, kw_only=True):
    consecutive: int = 5
    """So many failures in a row open it."""
    error_share: float = 0.5
    """So does this share of the last `window_seconds`, once there were `least_requests`."""
    least_requests: int = 20
    window_seconds: float = 30.0
    open_seconds: float = 5.0
    """Doubled each time a probe fails, up to `longest_open_seconds`."""
    longest_open_seconds: float = 60.0
    probes: int = 1
    """At once, while half-open."""
    answers_to_close: int = 2
    """So many probes in a row must be answered."""


class Passage(msgspec.Struct, frozen=True):
    """A request that was let through. What is from before the last change of state is ignored."""

    generation: int
    probe: bool


class Breaker:
    """Every passage is ended exactly once. Times never decrease."""

    def __init__(self, limits: BreakerLimits | None = None) -> None:
        self._limits = limits or BreakerLimits()
        self._state = BreakerState.CLOSED
        self._generation = 0
        self._recent = RecentShare(self._limits.window_seconds)
        self._failures = 0
        """In a row."""
        self._answers = 0
        """Of probes, in a row."""
        self._probing = 0
        self._until = 0.0
        self._seconds = self._limits.open_seconds

    def state(self, now: float) -> BreakerState:
        if self._state is BreakerState.OPEN and now >= self._until:
            self._become(BreakerState.HALF_OPEN)
        return self._state

    def enter(self, now: float) -> Passage | None:
        """None: not now; see `retry_after`."""
        state = self.state(now)
        if state is BreakerState.CLOSED:
            return Passage(self._generation, probe=False)
        if state is BreakerState.OPEN or self._probing >= self._limits.probes:
            return None
        self._probing += 1
        return Passage(self._generation, probe=True)

    def retry_after(self, now: float) -> float:
        """Seconds after which it may be worth trying again."""
        return max(self._until - now, 1.0)

    def end(self, passage: Passage, outcome: Outcome, now: float) -> None:
        if passage.generation != self._generation:
            return
        if passage.probe:
            self._probing -= 1
            self._probed(outcome, now)
        elif outcome is not Outcome.UNKNOWN:
            self._counted(outcome, now)

    def _counted(self, outcome: Outcome, now: float) -> None:
        failed = outcome is Outcome.FAILED
        self._failures = self._failures + 1 if failed else 0
        self._recent.add(now, marked=int(failed))
        recent = self._recent.counts(now)
        often = recent.all >= self._limits.least_requests
        if self._failures >= self._limits.consecutive or (
            failed and often and recent.share >= self._limits.error_share
        ):
            self._open(now)

    def _probed(self, outcome: Outcome, now: float) -> None:
        if outcome is Outcome.FAILED:
            self._seconds = min(2 * self._seconds, self._limits.longest_open_seconds)
            self._open(now)
        elif outcome is Outcome.ANSWERED:
            self._answers += 1
            if self._answers >= self._limits.answers_to_close:
                self._seconds = self._limits.open_seconds
                self._become(BreakerState.CLOSED)

    def _open(self, now: float) -> None:
        self._until = now + self._seconds
        self._become(BreakerState.OPEN)

    def _become(self, state: BreakerState) -> None:
        self._state = state
        self._generation += 1
        self._recent.clear()
        self._failures = self._answers = self._probing = 0
