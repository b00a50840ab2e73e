"""A backend that comes back gets a growing part of its share: its caches are cold. Pure."""

from __future__ import annotations

SECONDS = 30.0
LEAST = 0.1


class SlowStart:
    def __init__(self, seconds: float = SECONDS, least: float = LEAST) -> None:
        self._seconds = seconds
        self._least = least
        self._began: float | None = None

    def begin(self, now: float) -> None:
        """The backend is back."""
        self._began = now

    def weight(self, now: float) -> float:
        """Part of its share that it should get, from `least` to 1."""
        if self._began is None:
            return 1.0
        passed = max(0.0, now - self._began) / self._seconds
        return min(1.0, self._least + (1.0 - self._least) * passed)
