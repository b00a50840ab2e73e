"""How many tokens a request took, in the shape clients bill by."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from stoker.api.assembler import TextDelta
from stoker.gateway import usage as gateway


class PromptTokensDetails(msgspec.Struct, frozen=True):
    cached_tokens: int


class Usage(msgspec.Struct, frozen=True):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptTokensDetails


class UsageCounter:
    """Keeps the latest counts of each choice. Choices of one prompt stand next to each other."""

    def __init__(self, num_prompt_tokens: int, num_choices: int, choices_per_prompt: int) -> None:
        self._prompt = num_prompt_tokens
        self._output = [0] * num_choices
        self._cached = [0] * num_choices
        self._per_prompt = choices_per_prompt

    def add(self, batch: Sequence[TextDelta]) -> None:
        for delta in batch:
            self._output[delta.index] = delta.num_tokens
            self._cached[delta.index] = delta.num_cached_tokens

    @property
    def spent(self) -> gateway.Usage:
        """The same for the ledger."""
        usage = self.usage
        return gateway.Usage(
            input_tokens=usage.prompt_tokens,
            cached_tokens=usage.prompt_tokens_details.cached_tokens,
            output_tokens=usage.completion_tokens,
        )

    @property
    def usage(self) -> Usage:
        """A prompt is counted once however many choices it has, as OpenAI counts it; so is what
        its first choice found in the cache."""
        output = sum(self._output)
        cached = sum(self._cached[:: self._per_prompt])
        return Usage(self._prompt, output, self._prompt + output, PromptTokensDetails(cached))
