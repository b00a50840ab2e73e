"""How fast something goes, from pieces of very different size."""

from __future__ import annotations

KEPT = 0.95
"""Of what earlier pieces count, with each new one."""
GUESSED_SECONDS = 0.01
"""A first guess counts as if it had been seen for so long: as good as nothing."""
BORROWED_SECONDS = 2.0
"""A replica's rate is taken to be its pool's as if that had been seen for so long."""


class MeasuredRate:
    """Counts over seconds, both fading: a small piece says as little as it is small."""

    def __init__(self, first_guess: float) -> None:
        self._count = first_guess * GUESSED_SECONDS
        self._seconds = GUESSED_SECONDS

    @property
    def per_second(self) -> float:
        return self._count / self._seconds

    def add(self, count: float, seconds: float) -> None:
        """Ignored unless both are positive."""
        if count > 0 and seconds > 0:
            self._count = KEPT * self._count + count
            self._seconds = KEPT * self._seconds + seconds


class ReplicaRate:
    """Of one replica in a pool: while little was measured there, it is about as fast as the
    others. Without that, requests would follow chance."""

    def __init__(self, pool: MeasuredRate) -> None:
        self._pool = pool
        self._count = 0.0
        self._seconds = 0.0

    @property
    def per_second(self) -> float:
        borrowed = BORROWED_SECONDS * self._pool.per_second
        return (self._count + borrowed) / (self._seconds + BORROWED_SECONDS)

    def add(self, count: float, seconds: float) -> None:
        """Ignored unless both are positive."""
        if count > 0 and seconds > 0:
            self._count = KEPT * self._count + count
            self._seconds = KEPT * self._seconds + seconds
            self._pool.add(count, seconds)
