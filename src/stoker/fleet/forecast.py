"""What demand will be when a replica started now is ready - believed only while it has been right.

Two ways to look ahead, a trend (Holt's, damped) and what this time of the week brought before.
Each is scored against the plainest of forecasts, that nothing changes; only one that has beaten
it counts. Pure: times are given.
"""

from __future__ import annotations

import math
from collections import deque

WEEK = 7 * 86400.0
SLOT_SECONDS = 900.0
LEVEL_GAIN = 0.2
TREND_GAIN = 0.05
DAMPING = 0.98
"""Of the trend, with every step ahead."""
FORGETTING = 0.99
"""Of errors, with every step."""
LEAST_SCORED = 30
"""Forecasts that must have come due before one is believed."""
ADVANTAGE = 0.9
"""Times the error of persistence: what a forecast must be better than."""


class Trend:
    """Holt's linear trend, damped."""

    def __init__(self) -> None:
        self._level = 0.0
        self._slope = 0.0
        self._begun = False

    def observe(self, rate: float, wall: float) -> None:
        if not self._begun:
            self._begun, self._level = True, rate
            return
        before = self._level
        self._level += self._slope * DAMPING
        self._level += LEVEL_GAIN * (rate - self._level)
        self._slope = DAMPING * self._slope + TREND_GAIN * (
            self._level - before - DAMPING * self._slope
        )

    def ahead(self, steps: int, wall: float) -> float | None:
        damped = DAMPING * (1 - DAMPING**steps) / (1 - DAMPING)
        return max(0.0, self._level + self._slope * damped)


class TimeOfWeek:
    """The rate of each quarter of an hour of the week, as it was last time."""

    def __init__(self) -> None:
        self._slots: dict[int, float] = {}
        self._slot = -1
        self._sum = 0.0
        self._count = 0

    def observe(self, rate: float, wall: float) -> None:
        slot = _slot(wall)
        if slot != self._slot:
            if self._count:
                self._slots[self._slot] = self._sum / self._count
            self._slot, self._sum, self._count = slot, 0.0, 0
        self._sum += rate
        self._count += 1

    def ahead(self, steps: int, wall: float) -> float | None:
        """At `wall`; None where last week is not known."""
        return self._slots.get(_slot(wall))


class Forecast:
    """`step` seconds pass between two observations, about."""

    def __init__(self, step: float) -> None:
        self._step = step
        self._ways = (Trend(), TimeOfWeek())
        self._errors = [0.0] * len(self._ways)
        self._persistence = [0.0] * len(self._ways)
        self._scored = [0] * len(self._ways)
        self._due: deque[tuple[int, float, tuple[float | None, ...]]] = deque(maxlen=600)
        """Forecasts made: at which step they come due, the rate then, and what they said."""
        self._now = 0

    def observe(self, rate: float, wall: float, horizon: float) -> None:
        """`rate` now, at `wall` (Unix seconds); forecasts are wanted for `horizon` seconds on."""
        self._now += 1
        while self._due and self._due[0][0] <= self._now:
            self._score(rate, *self._due.popleft()[1:])
        for way in self._ways:
            way.observe(rate, wall)
        steps = max(1, math.ceil(horizon / self._step))
        said = tuple(way.ahead(steps, wall + horizon) for way in self._ways)
        self._due.append((self._now + steps, rate, said))

    @property
    def best(self) -> float | None:
        """The rate expected at the horizon, or None: nothing is better than what is now."""
        if not self._due:
            return None
        ratios = [
            (self._errors[i] / self._persistence[i], said)
            for i, said in enumerate(self._due[-1][2])
            if said is not None and self._scored[i] >= LEAST_SCORED and self._persistence[i] > 0
        ]
        ratio, said = min(ratios, default=(1.0, 0.0))
        return said if ratio < ADVANTAGE else None

    def _score(self, rate: float, before: float, said: tuple[float | None, ...]) -> None:
        for i, value in enumerate(said):
            if value is not None:
                self._errors[i] = FORGETTING * self._errors[i] + abs(value - rate)
                self._persistence[i] = FORGETTING * self._persistence[i] + abs(before - rate)
                self._scored[i] += 1


def _slot(wall: float) -> int:
    return int(wall % WEEK // SLOT_SECONDS)
