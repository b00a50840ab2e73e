"""The parallel lists of a text completion's log probabilities, with each token's place."""

from __future__ import annotations

from collections.abc import Sequence

from stoker.api.openai.completion_schema import CompletionLogprobs
from stoker.api.openai.token_text import alternatives, finite, token_text
from stoker.core.ids import TokenId
from stoker.core.output import TokenLogprobs
from stoker.text.detokenizer import Detokenizer
from stoker.text.tokenizer import Tokenizer


class LogprobLists:
    """One per choice: offsets go on from chunk to chunk."""

    def __init__(self, tokenizer: Tokenizer, count: int, offset: int = 0) -> None:
        self._tokenizer = tokenizer
        self._detokenizer = Detokenizer(tokenizer)
        self._count = count
        self._offset = offset

    def echo_start(self, first: TokenId) -> CompletionLogprobs:
        """The first prompt token, which nothing predicted."""
        return CompletionLogprobs(
            [token_text(self._tokenizer, first)], [None], [None], [self._advance(first)]
        )

    def extend(self, entries: Sequence[TokenLogprobs]) -> CompletionLogprobs:
        return CompletionLogprobs(
            tokens=[token_text(self._tokenizer, entry.token_id) for entry in entries],
            token_logprobs=[finite(entry.logprob) for entry in entries],
            top_logprobs=[self._top(entry) for entry in entries],
            text_offset=[self._advance(entry.token_id) for entry in entries],
        )

    def _advance(self, token: TokenId) -> int:
        """Where the token begins in the text."""
        start = self._offset
        self._offset += len(self._detokenizer.push((token,)))
        return start

    def _top(self, entry: TokenLogprobs) -> dict[str, float] | None:
        """Tokens that spell the same keep the best of their values, which comes first."""
        top: dict[str, float] = {}
        for token, logprob in alternatives(entry, self._count):
            top.setdefault(token_text(self._tokenizer, token), logprob)
        return top or None


def joined(parts: Sequence[CompletionLogprobs]) -> CompletionLogprobs:
    return CompletionLogprobs(
        tokens=[item for part in parts for item in part.tokens],
        token_logprobs=[item for part in parts for item in part.token_logprobs],
        top_logprobs=[item for part in parts for item in part.top_logprobs],
        text_offset=[item for part in parts for item in part.text_offset],
    )
