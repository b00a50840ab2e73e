"""Decides from what an engine reports whether it still makes progress. Pure."""

from __future__ import annotations

from collections import deque
from statistics import median

SHORTEST_LIMIT = 10.0
STEP_FACTOR = 20.0
REMEMBERED_STEPS = 64


class Watchdog:
    """An engine is stuck when it does not answer, or when one step runs longer than `limit`:
    ten seconds, or twenty times the median step, whichever is longer."""

    def __init__(self, now: float, shortest_limit: float = SHORTEST_LIMIT) -> None:
        self._shortest_limit = shortest_limit
        self._last_answer = now
        self._step_seconds = 0.0
        self._steps: deque[float] = deque(maxlen=REMEMBERED_STEPS)
        self._num_steps = 0
        self._total_seconds = 0.0

    def observe_answer(self, now: float, step_seconds: float) -> None:
        """A pong: `step_seconds` is how long the step under way has been running."""
        self._last_answer = now
        self._step_seconds = step_seconds

    def observe_steps(self, num_steps: int, total_seconds: float) -> None:
        """Totals from a load report; their growth gives the length of recent steps."""
        new = num_steps - self._num_steps
        if new > 0:
            self._steps.append((total_seconds - self._total_seconds) / new)
        self._num_steps, self._total_seconds = num_steps, total_seconds

    @property
    def limit(self) -> float:
        usual = median(self._steps) if self._steps else 0.0
        return max(self._shortest_limit, STEP_FACTOR * usual)

    def stuck(self, now: float) -> bool:
        return now - self._last_answer > self.limit or self._step_seconds > self.limit
