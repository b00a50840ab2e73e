"""The wire records of llama.cpp's completions: what is answered."""

from __future__ import annotations

from typing import Literal

import msgspec

from stoker.core.sampling import SamplingParams


class Probability(msgspec.Struct, frozen=True):
    id: int
    token: str
    bytes: list[int]
    logprob: float


class TokenProbability(msgspec.Struct, frozen=True, kw_only=True):
    id: int
    token: str
    bytes: list[int]
    logprob: float
    top_logprobs: list[Probability]


class Timings(msgspec.Struct, frozen=True, kw_only=True):
    """Milliseconds, and tokens in a second. Waiting counts as reading the prompt."""

    cache_n: int
    prompt_n: int
    prompt_ms: float
    prompt_per_token_ms: float
    prompt_per_second: float
    predicted_n: int
    predicted_ms: float
    predicted_per_token_ms: float
    predicted_per_second: float


class GenerationSettings(msgspec.Struct, frozen=True, kw_only=True):
    n_predict: int
    max_tokens: int
    seed: int
    temperature: float
    top_k: int
    top_p: float
    min_p: float
    repeat_penalty: float
    repeat_last_n: int = -1
    presence_penalty: float
    frequency_penalty: float
    n_probs: int
    ignore_eos: bool
    stop: list[str]
    n_keep: int = 0
    stream: bool


class LlamaCppPart(msgspec.Struct, frozen=True, kw_only=True):
    """An event of a stream, but the last of each text."""

    index: int
    content: str
    tokens: list[int]
    stop: Literal[False] = False
    id_slot: int = -1
    tokens_predicted: int
    tokens_evaluated: int
    completion_probabilities: list[TokenProbability] | msgspec.UnsetType = msgspec.UNSET


class LlamaCppCompletion(msgspec.Struct, frozen=True, kw_only=True):
    """A whole answer, or the last event, in which `content` is what came with it."""

    index: int
    content: str
    tokens: list[int]
    id_slot: int = -1
    stop: Literal[True] = True
    model: str
    prompt: str
    generation_settings: GenerationSettings
    stop_type: Literal["eos", "limit", "word"]
    stopping_word: str
    has_new_line: bool
    truncated: bool = False
    tokens_predicted: int
    tokens_evaluated: int
    tokens_cached: int
    """All that the context held at the end."""
    timings: Timings
    completion_probabilities: list[TokenProbability] | msgspec.UnsetType = msgspec.UNSET


def settings(
    sampling: SamplingParams, stops: tuple[str, ...], *, stream: bool
) -> GenerationSettings:
    return GenerationSettings(
        n_predict=sampling.max_tokens,
        max_tokens=sampling.max_tokens,
        seed=sampling.seed,
        temperature=sampling.temperature,
        top_k=sampling.top_k,
        top_p=sampling.top_p,
        min_p=sampling.min_p,
        repeat_penalty=sampling.repetition_penalty,
        presence_penalty=sampling.presence_penalty,
        frequency_penalty=sampling.frequency_penalty,
        n_probs=sampling.logprobs or 0,
        ignore_eos=sampling.ignore_eos,
        stop=list(stops),
        stream=stream,
    )
