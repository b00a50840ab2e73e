"""How long answers are likely to be: clients name the most they want, seldom what they get."""

from __future__ import annotations

FIRST_GUESS = 128.0
SMOOTHING = 0.05
"""Weight of the newest answer."""


class ExpectedOutput:
    """A running mean over answers that ended."""

    def __init__(self) -> None:
        self._mean = FIRST_GUESS

    def of(self, max_tokens: int) -> int:
        return min(max_tokens, round(self._mean))

    def ended(self, num_tokens: int) -> None:
        self._mean += SMOOTHING * (num_tokens - self._mean)
