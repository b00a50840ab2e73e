"""Every field of a request has a range, and what is outside is named."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest

from stoker.core.ids import RequestId
from stoker.core.request import Request
from stoker.core.sampling import SamplingParams
from stoker.core.validation import MOST_ENTRIES, MOST_LOGPROBS, validate, validate_sampling
from stoker.errors import InvalidRequest

VOCABULARY = 1000
NO_NUMBERS = (math.nan, math.inf, -math.inf, "1", None, True, [1])
NO_INTEGERS = (1.5, 1.0, "1", True, [1], -1, 2**70)
REFUSED: dict[str, tuple[Any, ...]] = {
    "max_tokens": (*NO_INTEGERS, None, 0),
    "min_tokens": (*NO_INTEGERS, None, 17),
    "temperature": (*NO_NUMBERS, -0.1, 1e300),
    "top_k": (*NO_INTEGERS, None, 2**31),
    "top_p": (*NO_NUMBERS, -0.1, 1.1),
    "min_p": (*NO_NUMBERS, -0.1, 1.1),
    "repetition_penalty": (*NO_NUMBERS, 0.0, 1e-300, 1e300, -1.0),
    "presence_penalty": (*NO_NUMBERS, 1e300),
    "frequency_penalty": (*NO_NUMBERS, -1e300),
    "logit_bias": (
        *({5: value} for value in (*NO_NUMBERS, 1e3)),
        *({token: 1.0} for token in (-1, VOCABULARY, "5", 5.0, True)),
        dict.fromkeys(range(MOST_ENTRIES + 1), 0.0),
        None,
        [5],
    ),
    "seed": (*NO_INTEGERS, None, 2**64),
    "logprobs": (*NO_INTEGERS, MOST_LOGPROBS + 1),
    "prompt_logprobs": (*NO_INTEGERS, MOST_LOGPROBS + 1),
    "stop_token_ids": ((-1,), (VOCABULARY,), (5.0,), ("5",), 5, None, (1,) * (MOST_ENTRIES + 1)),
    "stop": ("", ("",), ["a", ""], (5,), 5, None, ("a",) * (MOST_ENTRIES + 1)),
    "ignore_eos": (None, 0, "no"),
}
TAKEN: dict[str, tuple[Any, ...]] = {
    "max_tokens": (1, 2**31 - 1),
    "temperature": (0, 0.0, 1e-300, 2),
    "top_p": (0.0, 1),
    "repetition_penalty": (0.01, 1, 2.0),
    "logit_bias": ({0: -100.0, VOCABULARY - 1: 100},),
    "seed": (0, 2**64 - 1),
    "logprobs": (None, 0, 20),
    "stop_token_ids": ((), (0, VOCABULARY - 1), [5]),
    "stop": ((), "a", ("a", "bc"), ["a"]),
}


def test_no_field_is_forgotten() -> None:
    assert set(REFUSED) == set(SamplingParams.__struct_fields__)


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_out_of_range_is_refused_by_name(name: str) -> None:
    for value in REFUSED[name]:
        with pytest.raises(InvalidRequest) as raised:
            validate_sampling(SamplingParams(**{name: value}), VOCABULARY)
        assert raised.value.param == name, value


@pytest.mark.parametrize("name", TAKEN)
def test_the_ends_of_the_range_are_taken(name: str) -> None:
    for value in TAKEN[name]:
        validate_sampling(SamplingParams(**{name: value}), VOCABULARY)


def test_alternatives_are_no_more_than_there_are_tokens() -> None:
    validate_sampling(SamplingParams(logprobs=3), 3)
    with pytest.raises(InvalidRequest):
        validate_sampling(SamplingParams(logprobs=4), 3)


@pytest.mark.parametrize(
    "change",
    [
        {"prompt_token_ids": ()},
        {"prompt_token_ids": (1, -1)},
        {"prompt_token_ids": (1, VOCABULARY)},
        {"prompt_token_ids": (1, 1.5)},
        {"output_token_ids": (VOCABULARY,)},
        {"output_token_ids": (1,) * 16},  # nothing is left to compute
        {"priority": 2**70},
        {"timeout": math.nan},
        {"timeout": -1.0},
        {"sampling": SamplingParams(seed=2**70)},
    ],
)
def test_a_request_is_checked_whole(change: dict[str, Any]) -> None:
    request = Request(
        request_id=RequestId("a"), prompt_token_ids=(0, 999), sampling=SamplingParams()
    )
    validate(request, VOCABULARY)
    with pytest.raises(InvalidRequest):
        validate(msgspec.structs.replace(request, **change), VOCABULARY)
