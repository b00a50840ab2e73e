"""Decides from what an engine answers whether it still makes progress. Pure."""

from __future__ import annotations

SHORTEST_LIMIT = 10.0
PATIENCE = 20.0
"""A step may take this many times longer than it was expected to."""


class Watchdog:
    """An engine is stuck when it does not answer, or when one step runs on and on.

    Time is counted in ticks of the watcher, each of bounded length: when it is the watcher that
    was held up (a stopped terminal job, a busy machine), it learns nothing bad of the engine.
    """

    def __init__(self, shortest_limit: float = SHORTEST_LIMIT) -> None:
        """`shortest_limit` in seconds: what silence, and any step, may last."""
        self._shortest_limit = shortest_limit
        self._silence = 0.0
        self._step = -1
        self._step_age = 0.0
        self._in_step = False
        self._expected = 0.0

    def observe_answer(self, num_steps: int, step_seconds: float, expected: float) -> None:
        """A pong: steps completed, how long the one under way has run (0 between steps), and how
        long it was expected to take."""
        self._silence = 0.0
        self._expected = expected
        self._in_step = step_seconds > 0.0
        if not self._in_step or num_steps != self._step:
            self._step = num_steps
            self._step_age = 0.0

    def tick(self, seconds: float) -> None:
        """Time has passed since the last tick."""
        self._silence += seconds
        if self._in_step:
            self._step_age += seconds

    @property
    def limit(self) -> float:
        """Seconds the step under way may take."""
        return max(self._shortest_limit, PATIENCE * self._expected)

    @property
    def stuck(self) -> bool:
        return self._silence > self._shortest_limit or self._step_age > self.limit
