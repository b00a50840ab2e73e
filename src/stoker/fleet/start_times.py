"""How long replicas take to be ready, as measured: the autoscaler plans with it. Pure."""

from __future__ import annotations

from collections import deque

REMEMBERED = 5


class StartTimes:
    def __init__(self, first_guess: float) -> None:
        self._guess = first_guess
        self._times: deque[float] = deque(maxlen=REMEMBERED)

    def took(self, seconds: float) -> None:
        self._times.append(seconds)

    @property
    def seconds(self) -> float:
        """The longest of the last few: better ready too early."""
        return max(self._times, default=self._guess)
