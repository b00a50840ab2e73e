"""Tokens of prompt and answer as text-generation-inference shows them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from stoker.api.openai.token_text import finite, token_text
from stoker.api.tgi.schema import GeneratedToken, PrefillToken
from stoker.api.token_pieces import TokenPieces
from stoker.core.ids import TokenId
from stoker.core.output import TokenLogprobs
from stoker.text.tokenizer import Tokenizer


def generated(
    tokenizer: Tokenizer, pieces: TokenPieces, entries: Sequence[TokenLogprobs]
) -> Iterator[GeneratedToken]:
    for entry in entries:
        text = pieces.piece(entry.token_id)
        yield _token(tokenizer, entry.token_id, text, entry.logprob)


def likeliest(tokenizer: Tokenizer, entry: TokenLogprobs) -> list[GeneratedToken]:
    return [
        _token(tokenizer, token, token_text(tokenizer, token), logprob)
        for token, logprob in entry.top
    ]


def prefill(
    tokenizer: Tokenizer, prompt: Sequence[TokenId], entries: Sequence[TokenLogprobs]
) -> list[PrefillToken]:
    """Nothing where nothing was scored."""
    if not entries:
        return []
    logprobs = [None, *(finite(entry.logprob) for entry in entries)]
    return [
        PrefillToken(token, token_text(tokenizer, token), logprob)
        for token, logprob in zip(prompt, logprobs, strict=True)
    ]


def end_token(tokenizer: Tokenizer) -> GeneratedToken:
    """Stands for the end where no token of the text is left to carry it."""
    return GeneratedToken(min(tokenizer.eos_token_ids, default=0), "", 0.0, True)


def _token(tokenizer: Tokenizer, token: TokenId, text: str, logprob: float) -> GeneratedToken:
    return GeneratedToken(token, text, finite(logprob), tokenizer.is_control(token))
