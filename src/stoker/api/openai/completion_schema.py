"""The wire records of POST /v1/completions."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import msgspec

from stoker.api.openai.fields import Count, SamplingFields
from stoker.api.openai.prompt_logprobs import PromptLogprobs
from stoker.api.openai.usage import Usage


class CompletionRequest(SamplingFields, kw_only=True):
    prompt: str | list[str | int | list[int]]
    """A text, several texts, token ids, or several lists of them."""
    echo: bool | None = None
    logprobs: Count | None = None
    suffix: Any = None
    best_of: Any = None

    REFUSED: ClassVar[dict[str, tuple[object, ...]]] = {
        **SamplingFields.REFUSED,
        "suffix": ("",),
        "best_of": (1,),
    }


class CompletionLogprobs(msgspec.Struct, frozen=True):
    """Parallel lists. The first prompt token, when echoed, has no log probability."""

    tokens: list[str]
    token_logprobs: list[float | None]
    top_logprobs: list[dict[str, float] | None]
    text_offset: list[int]


class CompletionChoice(msgspec.Struct, frozen=True):
    index: int
    text: str
    logprobs: CompletionLogprobs | None
    finish_reason: str | None
    prompt_logprobs: PromptLogprobs | msgspec.UnsetType = msgspec.UNSET
    """Only where they were asked for."""


class Completion(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    object: Literal["text_completion"] = "text_completion"
    created: int
    model: str
    system_fingerprint: str
    choices: list[CompletionChoice]
    usage: Usage
