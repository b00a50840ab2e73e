"""What a load test asks for: prompts that differ, so that no cache answers them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

TEXT = (
    "the river runs past old stone houses where people trade bread and wool in early morning "
    "light while a slow wind moves over green fields and children carry water from the well "
    "some travel far to sell their goods others stay and mend what winter broke each year "
    "there is talk of a new road across the hills that would bring more work and more noise "
    "but nobody knows who should pay for it or when it might begin so they wait and watch"
)
WORDS = TEXT.split()
"""Common words: nearly always one token each in every vocabulary."""


@dataclass(frozen=True, slots=True)
class Workload:
    num_requests: int = 32
    input_tokens: int = 128
    output_tokens: int = 128
    shared_tokens: int = 0
    """Words at the front of every prompt that are the same, as a system prompt would be."""
    seed: int = 0

    def prompts(self) -> Iterator[str]:
        """One prompt a request, about `input_tokens` tokens each; the same for the same seed."""
        source = random.Random(self.seed)  # noqa: S311 - nothing secret
        shared = source.choices(WORDS, k=self.shared_tokens)
        for _ in range(self.num_requests):
            own = source.choices(WORDS, k=max(1, self.input_tokens - self.shared_tokens))
            yield " ".join([*shared, *own])
