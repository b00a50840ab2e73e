"""Tokens as clients see them in log probabilities: text, and the exact bytes."""

from __future__ import annotations

from stoker.core.ids import TokenId
from stoker.core.output import TokenLogprobs
from stoker.text.tokenizer import Tokenizer

LOWEST = -9999.0
"""Stands for minus infinity, which JSON cannot say."""


def token_text(tokenizer: Tokenizer, token: TokenId) -> str:
    """A token that is part of a character shows as a replacement character."""
    return tokenizer.decode((token,), skip_control=False)


def finite(logprob: float) -> float:
    return max(logprob, LOWEST)


def alternatives(logprobs: TokenLogprobs, count: int) -> list[tuple[TokenId, float]]:
    """The most likely tokens, best first."""
    return [(token, finite(logprob)) for token, logprob in logprobs.top[:count]]
