"""Drafters that are right or wrong as a test wants."""

from __future__ import annotations

import random
from collections.abc import Sequence

from stoker.core.ids import TokenId
from stoker.executor.fake import expected_tokens
from stoker.scheduler.speculation import Drafter, Wish


class Guesser(Drafter):
    """For the fake executor: each guess is right with the given chance."""

    def __init__(self, right: float, seed: int = 0) -> None:
        self._right = right
        self._chance = random.Random(seed)
        self.proposed = 0

    @property
    def seconds_per_token(self) -> float:
        return 0.0

    def propose(self, wishes: Sequence[Wish]) -> list[tuple[TokenId, ...]]:
        return [self._guess(wish) for wish in wishes]

    def _guess(self, wish: Wish) -> tuple[TokenId, ...]:
        count = self._chance.randint(0, wish.count)
        self.proposed += count
        true = expected_tokens(tuple(wish.tokens), wish.sampling.seed, count)
        return tuple(
            token if self._chance.random() < self._right else (token + 1) % 1000 for token in true
        )
