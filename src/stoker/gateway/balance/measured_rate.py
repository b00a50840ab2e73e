"""How fast something goes, from pieces of very different size."""

from __future__ import annotations

KEPT = 0.95
"""Of what earlier pieces count, with each new one."""


class MeasuredRate:
    """Counts over seconds, both fading: a small piece says as little as it is small."""

    def __init__(self, first_guess: float) -> None:
        self._count = first_guess
        self._seconds = 1.0

    @property
    def per_second(self) -> float:
        return self._count / self._seconds

    def add(self, count: float, seconds: float) -> None:
        """Ignored unless both are positive."""
        if count > 0 and seconds > 0:
            self._count = KEPT * self._count + count
            self._seconds = KEPT * self._seconds + seconds
