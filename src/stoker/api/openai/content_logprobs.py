"""Log probabilities as chat completions and responses spell them: an entry for each token."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from stoker.api.openai.token_text import finite, token_text
from stoker.core.ids import TokenId
from stoker.core.output import TokenLogprobs
from stoker.text.tokenizer import Tokenizer


class TopLogprob(msgspec.Struct, frozen=True):
    token: str
    logprob: float
    bytes: list[int]


class ContentLogprob(msgspec.Struct, frozen=True):
    token: str
    logprob: float
    bytes: list[int]
    top_logprobs: list[TopLogprob]


def content_logprobs(
    tokenizer: Tokenizer, entries: Sequence[TokenLogprobs]
) -> list[ContentLogprob]:
    return [_entry(tokenizer, entry) for entry in entries]


def _entry(tokenizer: Tokenizer, entry: TokenLogprobs) -> ContentLogprob:
    chosen = _top(tokenizer, entry.token_id, entry.logprob)
    top = [_top(tokenizer, token, logprob) for token, logprob in entry.top]
    return ContentLogprob(chosen.token, chosen.logprob, chosen.bytes, top)


def _top(tokenizer: Tokenizer, token: TokenId, logprob: float) -> TopLogprob:
    raw = list(tokenizer.token_bytes(token))
    return TopLogprob(token_text(tokenizer, token), finite(logprob), raw)
