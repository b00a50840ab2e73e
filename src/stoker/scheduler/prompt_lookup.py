"""Guesses what follows from what followed before: texts repeat themselves, code above all.

The last few tokens are looked for in the sequence itself, and what came after them there is the
guess (Saxena, prompt lookup decoding, 2023). No memory beside the tokens, no model.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence

from stoker.core.ids import TokenId
from stoker.scheduler.speculation import Drafter, Wish

PATTERNS = (5, 3, 2)
"""Tokens to look for, the longest first: the more of them agree, the better the guess."""
WIDTH = 4
"""Bytes of a token."""


class PromptLookup(Drafter):
    @property
    def seconds_per_token(self) -> float:
        return 0.0

    def propose(self, wishes: Sequence[Wish]) -> list[tuple[TokenId, ...]]:
        return [tuple(continuation(wish.tokens, wish.count)) for wish in wishes]


def continuation(tokens: Sequence[TokenId], count: int) -> list[TokenId]:
    """What followed the latest earlier place where the longest pattern at the end occurs; empty
    when there is none. Where that runs into the end, it goes on with itself, as periods do."""
    packed = tokens if isinstance(tokens, array) else array("i", tokens)
    data = packed.tobytes()
    found = next(filter(None, (_before(data, length) for length in PATTERNS)), 0)
    guess: list[TokenId] = []
    for position in range(found, found + count if found else 0):
        beyond = position - len(packed)
        guess.append(packed[position] if beyond < 0 else guess[beyond])
    return guess


def _before(data: bytes, length: int) -> int:
    """Where, in tokens, the latest earlier occurrence of the last `length` tokens ends; 0: none."""
    size = length * WIDTH
    if len(data) <= size:
        return 0
    pattern = data[-size:]
    found = data.rfind(pattern, 0, len(data) - WIDTH)
    while found % WIDTH and found >= 0:
        found = data.rfind(pattern, 0, found + size - 1)
    return 0 if found < 0 else found // WIDTH + length
