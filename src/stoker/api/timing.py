"""When an answer began and ended, for surfaces that tell their clients."""

from __future__ import annotations


class Timing:
    """Seconds of one monotonic clock."""

    def __init__(self, arrived: float) -> None:
        self._arrived = arrived
        self._first = self._last = arrived
        self._begun = False

    def delivered(self, now: float) -> None:
        """Something of the answer was there."""
        if not self._begun:
            self._first, self._begun = now, True
        self._last = now

    @property
    def total(self) -> float:
        return self._last - self._arrived

    @property
    def prompt(self) -> float:
        """Until the first token: waiting and reading the prompt."""
        return self._first - self._arrived

    @property
    def answer(self) -> float:
        return self._last - self._first
