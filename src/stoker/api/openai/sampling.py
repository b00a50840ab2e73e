"""Request fields to SamplingParams, every range checked before anything is allocated."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

import msgspec

from stoker.api.openai.fields import SamplingFields
from stoker.config.schema import LimitsSection
from stoker.core.sampling import SamplingParams
from stoker.errors import ContextLengthExceeded, InvalidRequest

SEEDS = 2**64
SEED_STRIDE = 0x9E3779B97F4A7C15
"""Odd, so the seeds of the choices of a request differ (2^64 over the golden ratio)."""


class Vocabulary(msgspec.Struct, frozen=True):
    """What token ids and lengths are checked against."""

    size: int
    max_context: int


def sampling_params(
    request: SamplingFields,
    vocabulary: Vocabulary,
    limits: LimitsSection,
    *,
    max_tokens: int,
    logprobs: int | None,
    prompt_logprobs: int | None,
) -> SamplingParams:
    """Raises InvalidRequest naming the field. The seed is drawn when none is given."""
    min_tokens = request.min_tokens or 0
    if min_tokens > max_tokens:
        raise InvalidRequest("'min_tokens' is more than 'max_tokens'", param="min_tokens")
    seed = secrets.randbits(63) if request.seed is None else request.seed % SEEDS
    return SamplingParams(
        max_tokens=max_tokens,
        min_tokens=min_tokens,
        temperature=_given(request.temperature, 1.0),
        top_k=min(max(0, request.top_k or 0), vocabulary.size),
        top_p=_given(request.top_p, 1.0),
        min_p=_given(request.min_p, 0.0),
        repetition_penalty=_given(request.repetition_penalty, 1.0),
        presence_penalty=_given(request.presence_penalty, 0.0),
        frequency_penalty=_given(request.frequency_penalty, 0.0),
        logit_bias=_logit_bias(request.logit_bias or {}, vocabulary.size, limits),
        seed=seed,
        logprobs=logprobs,
        prompt_logprobs=prompt_logprobs,
        stop_token_ids=_stop_token_ids(request.stop_token_ids or [], vocabulary.size, limits),
        ignore_eos=bool(request.ignore_eos),
    )


def with_seed_of(sampling: SamplingParams, choice: int) -> SamplingParams:
    """The parameters of one more answer to a prompt: another draw. The first keeps the seed."""
    if choice == 0:
        return sampling
    seed = (sampling.seed + choice * SEED_STRIDE) % SEEDS
    return msgspec.structs.replace(sampling, seed=seed)


def _given(value: float | None, default: float) -> float:
    return default if value is None else value


def _logit_bias(bias: dict[str, float], size: int, limits: LimitsSection) -> dict[int, float]:
    if len(bias) > limits.logit_bias:
        raise InvalidRequest(
            f"'logit_bias' has more than {limits.logit_bias} entries", param="logit_bias"
        )
    for key in bias:
        if not (key.isascii() and key.isdecimal() and len(key) <= 10):
            raise InvalidRequest("a key of 'logit_bias' is not a token id", param="logit_bias")
    result = {int(key): value for key, value in bias.items()}
    check_token_ids(result, size, "logit_bias")
    return result


def _stop_token_ids(ids: list[int], size: int, limits: LimitsSection) -> tuple[int, ...]:
    if len(ids) > limits.logit_bias:
        raise InvalidRequest(
            f"'stop_token_ids' has more than {limits.logit_bias} entries", param="stop_token_ids"
        )
    check_token_ids(ids, size, "stop_token_ids")
    return tuple(ids)


def check_token_ids(ids: Sequence[int] | dict[int, float], size: int, param: str) -> None:
    """Raises InvalidRequest unless every id is in the vocabulary."""
    if any(not 0 <= token < size for token in ids):
        raise InvalidRequest(f"'{param}' holds an id outside 0 to {size - 1}", param=param)


def stop_strings(request: SamplingFields, limits: LimitsSection) -> tuple[str, ...]:
    """Raises InvalidRequest for too many, too long, or empty ones."""
    stops = [request.stop] if isinstance(request.stop, str) else request.stop or []
    if len(stops) > limits.stops:
        raise InvalidRequest(f"'stop' has more than {limits.stops} strings", param="stop")
    for stop in stops:
        if not stop:
            raise InvalidRequest("'stop' holds an empty string", param="stop")
        if len(stop) > limits.stop_characters:
            raise InvalidRequest(
                f"'stop' holds a string over {limits.stop_characters} characters", param="stop"
            )
    return tuple(stops)


def num_choices(request: SamplingFields, limits: LimitsSection) -> int:
    """Raises InvalidRequest when `n` is over its limit."""
    n = request.n or 1
    if n > limits.n:
        raise InvalidRequest(f"'n' is {n}; the most is {limits.n}", param="n")
    return n


def checked_length(
    num_prompt: int, asked: int | None, default: int | None, vocabulary: Vocabulary, param: str
) -> int:
    """Output tokens allowed: as asked, else the default, at most what the context leaves.

    Raises ContextLengthExceeded when the prompt, or what is asked, does not fit.
    """
    room = vocabulary.max_context - num_prompt
    if room < 1:
        raise ContextLengthExceeded(
            f"the prompt has {num_prompt} tokens and the context holds {vocabulary.max_context}",
            param=param,
        )
    if asked is None:
        return room if default is None else min(default, room)
    if asked > room:
        raise ContextLengthExceeded(
            f"the prompt has {num_prompt} tokens and {asked} more are asked for; the context "
            f"holds {vocabulary.max_context}",
            param="max_tokens",
        )
    return asked
