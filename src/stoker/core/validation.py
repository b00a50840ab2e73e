"""Which requests an engine takes. Checked where a request is made and again where it arrives, so
that no single one can make a step fail that others are in."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Any

from stoker.core.abilities import DECODER, Abilities
from stoker.core.pooling import Pooling
from stoker.core.request import Request
from stoker.core.sampling import SamplingParams
from stoker.errors import ContextLengthExceeded, InvalidRequest

MOST_LOGPROBS = 256
"""Alternatives of a token; more, for a long prompt, would not fit into one message."""
MOST_ENTRIES = 4096
"""Of one list: biases, stop strings, stop tokens."""
_INT32 = 2**31 - 1

_INTEGERS: dict[str, tuple[int, int]] = {
    "max_tokens": (1, _INT32),
    "min_tokens": (0, _INT32),
    "top_k": (0, _INT32),
    "seed": (0, 2**64 - 1),
}
_NUMBERS: dict[str, tuple[float, float]] = {
    "temperature": (0.0, 100.0),
    "top_p": (0.0, 1.0),
    "min_p": (0.0, 1.0),
    "repetition_penalty": (0.01, 100.0),  # logits are divided by it in float32
    "presence_penalty": (-100.0, 100.0),
    "frequency_penalty": (-100.0, 100.0),
}
_MOST_BIAS = 100.0


def validate(request: Request, vocab_size: int, abilities: Abilities = DECODER) -> None:
    """Raises InvalidRequest, `param` naming the field. Lengths are the scheduler's to judge."""
    validate_sampling(request.sampling, vocab_size)
    if not request.prompt_token_ids:
        raise InvalidRequest("the prompt has no tokens", param="prompt")
    _tokens("prompt", request.prompt_token_ids, vocab_size)
    _tokens("prompt", request.output_token_ids, vocab_size)
    if len(request.output_token_ids) >= request.sampling.max_tokens:
        raise InvalidRequest("every token was delivered already", param="max_tokens")
    _pooling(request, abilities)
    _integer("priority", request.priority, -_INT32, _INT32)
    if request.timeout is not None:
        _number("timeout", request.timeout, 0.0, math.inf)


def refuse_too_long(request: Request, longest: int) -> None:
    """Raises ContextLengthExceeded for one that could become longer than `longest` tokens."""
    if request.max_total_tokens <= longest:
        return
    new = request.max_total_tokens - request.num_prompt_tokens
    more = f" and {new} new ones" if new else ""
    raise ContextLengthExceeded(
        f"{request.num_prompt_tokens} prompt tokens{more} exceed the {longest} tokens that one "
        "request can have here"
    )


def _pooling(request: Request, abilities: Abilities) -> None:
    if request.pooling is None and not abilities.generates:
        raise InvalidRequest(
            "this model is an encoder: it makes no text",
            param="model",
            hint="Ask it for embeddings, scores or ranks.",
        )
    if request.pooling is Pooling.LABELS and not abilities.labels:
        raise InvalidRequest("this model has no classification head", param="model")
    if request.second_part is None:
        return
    if request.pooling is None or not abilities.pairs:
        raise InvalidRequest("this model does not take pairs of texts", param="second_part")
    _integer("second_part", request.second_part, 0, request.num_prompt_tokens)


def validate_sampling(sampling: SamplingParams, vocab_size: int) -> None:
    """Raises InvalidRequest, `param` naming the field of SamplingParams that is not what its type
    and range allow. Only plain numbers of Python's are numbers; true and false are none."""
    for name, integers in _INTEGERS.items():
        _integer(name, getattr(sampling, name), *integers)
    for name, numbers in _NUMBERS.items():
        _number(name, getattr(sampling, name), *numbers)
    if sampling.min_tokens > sampling.max_tokens:
        raise InvalidRequest("'min_tokens' is more than 'max_tokens'", param="min_tokens")
    for name in ("logprobs", "prompt_logprobs"):
        if getattr(sampling, name) is not None:
            _integer(name, getattr(sampling, name), 0, min(MOST_LOGPROBS, vocab_size))
    if type(sampling.ignore_eos) is not bool:
        raise InvalidRequest("'ignore_eos' must be true or false", param="ignore_eos")
    _entries("stop_token_ids", sampling.stop_token_ids, tuple, list)
    _tokens("stop_token_ids", sampling.stop_token_ids, vocab_size)
    _entries("stop", sampling.stop, str, tuple, list)
    if not all(type(stop) is str and stop for stop in sampling.stops):
        raise InvalidRequest("'stop' holds something other than text, or none", param="stop")
    _entries("logit_bias", sampling.logit_bias, dict)
    _tokens("logit_bias", sampling.logit_bias, vocab_size)
    for value in sampling.logit_bias.values():
        _number("logit_bias", value, -_MOST_BIAS, _MOST_BIAS)


def _integer(name: str, value: Any, least: int, most: int) -> None:
    if type(value) is not int or not least <= value <= most:
        raise InvalidRequest(f"'{name}' must be an integer from {least} to {most}", param=name)


def _number(name: str, value: Any, least: float, most: float) -> None:
    if type(value) not in (int, float) or not least <= value <= most:  # false for NaN
        raise InvalidRequest(f"'{name}' must be a number from {least:g} to {most:g}", param=name)


def _entries(name: str, value: Any, *kinds: type) -> None:
    if type(value) not in kinds:
        raise InvalidRequest(f"'{name}' must be a {kinds[0].__name__}", param=name)
    if len(value) > MOST_ENTRIES:
        raise InvalidRequest(f"'{name}' has more than {MOST_ENTRIES} entries", param=name)


def _tokens(name: str, ids: Collection[Any], vocab_size: int) -> None:
    if not set(map(type, ids)) <= {int}:
        raise InvalidRequest(f"'{name}' holds a token id that is no integer", param=name)
    if ids and not 0 <= min(ids) <= max(ids) < vocab_size:
        raise InvalidRequest(f"'{name}' holds a token id outside the vocabulary", param=name)
