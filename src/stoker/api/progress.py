"""Whether the engine moves: the age of its last step while it had work."""

from __future__ import annotations

from stoker.engine.interface import EngineLoad

STUCK_SECONDS = 10.0


class Progress:
    """Fed with load snapshots now and then; pure apart from what it remembers."""

    def __init__(self, now: float) -> None:
        self._steps = 0
        self._moved = now
        self._age = 0.0

    @property
    def stuck(self) -> bool:
        return self._age > STUCK_SECONDS

    def observe(self, load: EngineLoad, now: float) -> float:
        """Seconds since the last step, counted only while there was work."""
        has_work = load.num_running + load.num_waiting > 0
        if load.num_steps != self._steps or not has_work:
            self._steps = load.num_steps
            self._moved = now
        self._age = now - self._moved
        return self._age
