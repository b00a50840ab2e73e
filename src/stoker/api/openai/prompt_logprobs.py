"""vLLM's field `prompt_logprobs`: how likely the model found each token of the prompt."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from stoker.api.openai.fields import SamplingFields
from stoker.api.openai.token_text import alternatives, finite, token_text
from stoker.config.schema import LimitsSection
from stoker.core.ids import TokenId
from stoker.core.output import TokenLogprobs
from stoker.errors import InvalidRequest
from stoker.text.tokenizer import Tokenizer


class PromptLogprob(msgspec.Struct, frozen=True):
    logprob: float
    rank: int
    decoded_token: str


PromptLogprobs = list[dict[TokenId, PromptLogprob] | None]
"""For each prompt token, its own entry and those of the likeliest; null for the first, which
nothing predicted."""


def checked_prompt_logprobs(request: SamplingFields, limits: LimitsSection) -> int | None:
    """How many alternatives are asked for. Raises InvalidRequest."""
    asked = request.prompt_logprobs
    if asked is None:
        return None
    if asked > limits.top_logprobs:
        raise InvalidRequest(
            f"'prompt_logprobs' is {asked}; the most is {limits.top_logprobs}",
            param="prompt_logprobs",
        )
    if request.stream:
        raise InvalidRequest(
            "'prompt_logprobs' cannot be streamed",
            param="prompt_logprobs",
            hint="Set 'stream' to false, or use 'echo' and 'logprobs' of /v1/completions.",
        )
    return asked


class PromptScores:
    """Spells what the engine says of a prompt."""

    def __init__(self, tokenizer: Tokenizer, count: int | None) -> None:
        self._tokenizer = tokenizer
        self._count = count

    def spell(self, entries: Sequence[TokenLogprobs]) -> PromptLogprobs | msgspec.UnsetType:
        """`entries` are of the second token and those after it. Unset if nothing was asked."""
        if self._count is None:
            return msgspec.UNSET
        return [None, *(self._token(entry, self._count) for entry in entries)]

    def _token(self, entry: TokenLogprobs, count: int) -> dict[TokenId, PromptLogprob]:
        top = {
            token: self._one(token, logprob, rank)
            for rank, (token, logprob) in enumerate(alternatives(entry, count), start=1)
        }
        return {entry.token_id: self._one(entry.token_id, entry.logprob, entry.rank), **top}

    def _one(self, token: TokenId, logprob: float, rank: int) -> PromptLogprob:
        return PromptLogprob(finite(logprob), rank, token_text(self._tokenizer, token))
