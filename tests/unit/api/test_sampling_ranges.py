"""Whatever the fields of a request allow, the core draws a token from, and the engine accepts."""

from __future__ import annotations

import itertools
import json
from typing import Any

import msgspec
import numpy as np
import pytest

from stoker.api.openai.chat_schema import ChatRequest
from stoker.api.openai.sampling import Vocabulary, sampling_params
from stoker.config.schema import Config, LimitsSection
from stoker.core.validation import MOST_ENTRIES, MOST_LOGPROBS, validate_sampling
from stoker.kernels.sampler import sample_row

SIZE = 64
EDGES: dict[str, tuple[float, ...]] = {
    "temperature": (0.0, 5e-324, 1e-45, 1e-6, 1e-4, 2.0),
    "top_p": (5e-324, 1e-45, 1e-8, 1.0),
    "min_p": (0.0, 5e-324, 1.0),
    "top_k": (-1, 0, 1, 2**31 - 1),
    "repetition_penalty": (0.01, 10.0),
    "presence_penalty": (-2.0, 2.0),
    "frequency_penalty": (-2.0, 2.0),
    "seed": (-(2**63), 2**63 - 1),
}
PAIRS = [
    {first: a, second: b}
    for first, second in itertools.combinations(EDGES, 2)
    for a in EDGES[first]
    for b in EDGES[second]
]


def accepted(**fields: Any) -> Any:
    body = json.dumps({"model": "m", "messages": [], **fields}).encode()
    request = msgspec.json.decode(body, type=ChatRequest)
    params = sampling_params(
        request,
        Vocabulary(SIZE, 128),
        LimitsSection(),
        max_tokens=8,
        logprobs=20,
        prompt_logprobs=None,
    )
    validate_sampling(params, SIZE)
    return params


@pytest.mark.parametrize("spread", [0.0, 1.0, 1e4])
def test_every_edge_with_every_other_gives_a_token(spread: float) -> None:
    logits = (np.random.default_rng(1).standard_normal(SIZE) * spread).astype(np.float32)
    for fields in PAIRS:
        params = accepted(**fields, logit_bias={"0": -100, "1": 100})
        drawn = sample_row(logits.copy(), params, position=9, history=[1, 2, 2, 3] * 50)
        assert drawn.token is not None, fields
        assert 0 <= drawn.token < SIZE


@pytest.mark.parametrize(
    ("name", "most"), [("top_logprobs", MOST_LOGPROBS), ("logit_bias", MOST_ENTRIES)]
)
def test_limits_cannot_allow_what_the_engine_refuses(name: str, most: int) -> None:
    msgspec.convert({"limits": {name: most}}, Config)
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"limits": {name: most + 1}}, Config)
