"""How many tokens to guess ahead, so that the guesses pay. Pure.

A step that verifies guesses gives more tokens and takes longer. Both are known: how often this
sequence's guesses were right, and what a row costs. Where many sequences fill the step, or guesses
are wrong, the best number is none.
"""

from __future__ import annotations

import math
from collections.abc import Sequence as Items
from dataclasses import dataclass

from stoker.core.ids import BlockId, RequestId, TokenId
from stoker.core.sampling import SamplingParams

MOST_DRAFTS = 8
"""A step, for one sequence."""
FORGETTING = 0.9
"""Of what was seen, with each guess."""
RECOVERY = 0.99
"""Of what was seen, with each step without a guess: what did not pay is tried again later."""
EXPECTED = 0.6
"""Share of right guesses before anything was seen."""


class Acceptance:
    """How often guesses for one sequence were right, lately."""

    def __init__(self) -> None:
        self._right = EXPECTED
        self._tried = 1.0

    @property
    def rate(self) -> float:
        return self._right / self._tried

    def observe(self, drafts: int, right: int) -> None:
        """Of `drafts` guesses the first `right` were; those after the first wrong one say
        nothing."""
        tried = min(right + 1, drafts)
        if tried:
            self._forget(FORGETTING**tried)
            self._right += right
            self._tried += tried
        else:
            self._forget(RECOVERY)

    def _forget(self, kept: float) -> None:
        """Towards what was expected at first."""
        self._right = self._right * kept + EXPECTED * (1.0 - kept)
        self._tried = self._tried * kept + 1.0 - kept


def num_drafts(rate: float, share: float, row: float) -> int:
    """The number of guesses with the most tokens a second, for a sequence whose share of the step
    takes `share` seconds and each row of guesses `row` more. After Leviathan et al., 2022
    (arXiv:2211.17192), with costs measured instead of assumed."""
    if not row < share:
        return 0
    best, most = 0, 1.0 / share
    tokens, seconds, right = 1.0, share, 1.0
    for number in range(1, MOST_DRAFTS + 1):
        right *= rate
        tokens += right
        seconds += row
        if tokens <= most * seconds:
            break
        best, most = number, tokens / seconds
    return best


@dataclass(frozen=True, slots=True)
class Wish:
    """Guesses are welcome: what would follow `tokens`, at most `count`."""

    request_id: RequestId
    tokens: Items[TokenId]
    count: int
    block_table: Items[BlockId]
    """Covers the guesses."""
    left: int
    """Tokens it may still get."""
    num_prompt_tokens: int
    sampling: SamplingParams


class Drafter:
    """Guesses what will be drawn. A wrong guess costs time and nothing else. This one guesses
    nothing; others override what they do otherwise."""

    @property
    def seconds_per_token(self) -> float:
        """What a guess costs to make; 0.0 when that is next to nothing, infinity when none is to
        be made."""
        return math.inf

    def propose(self, wishes: Items[Wish]) -> list[tuple[TokenId, ...]]:
        """Parallel to `wishes`, each as long as it likes up to `count`. Called before every step,
        with none where no guesses are welcome."""
        return [() for _ in wishes]

    def sleep(self) -> None:
        """Gives back what it can; no `propose` until `wake`."""

    def wake(self) -> None: ...

    def close(self) -> None: ...


def guesses(drafter: Drafter, wishes: Items[Wish]) -> dict[RequestId, tuple[TokenId, ...]]:
    """By request, as `Scheduler.plan` takes them."""
    proposed = drafter.propose(wishes)
    return {wish.request_id: guess for wish, guess in zip(wishes, proposed, strict=True) if guess}
