"""The native sampler: against its NumPy twin, and against what a user is promised."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stoker.core.sampling import SamplingParams
from stoker.kernels import _native
from stoker.kernels.reference import sampler as twin
from stoker.kernels.reference.random import philox, uniform
from stoker.kernels.sampler import SampleOutcome, sample_row

SIZES = (1, 2, 63, 64, 65, 200, 1000, 4096, 5001)
"""Below, at and above the blocks the native passes work in."""


def random_logits(size: int, seed: int, spread: float = 3.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0.0, spread, size).astype(np.float32)


def settings_of_a_user(vocabulary: int) -> st.SearchStrategy[SamplingParams]:
    token = st.integers(0, vocabulary - 1)
    return st.builds(
        SamplingParams,
        temperature=st.sampled_from([0.0, 0.3, 0.7, 1.0, 1.7, 10.0]),
        top_k=st.sampled_from([0, 0, 1, 2, 40, 700, 100_000]),
        top_p=st.sampled_from([1.0, 1.0, 0.0, 0.1, 0.5, 0.9, 0.999]),
        min_p=st.sampled_from([0.0, 0.0, 0.02, 0.3, 1.0]),
        repetition_penalty=st.sampled_from([1.0, 0.8, 1.3]),
        presence_penalty=st.sampled_from([0.0, -1.0, 1.5]),
        frequency_penalty=st.sampled_from([0.0, -0.5, 0.7]),
        logit_bias=st.dictionaries(token, st.sampled_from([-100.0, -1.5, 2.0, 100.0]), max_size=3),
        seed=st.integers(0, 2**64 - 1),
        logprobs=st.sampled_from([None, 0, 1, 20]),
    )


def agree(mine: SampleOutcome, reference: SampleOutcome) -> None:
    assert mine.token == reference.token
    assert (mine.logprobs is None) == (reference.logprobs is None)
    if mine.logprobs is None or reference.logprobs is None:
        return
    assert mine.logprobs.rank == reference.logprobs.rank
    assert mine.logprobs.logprob == pytest.approx(reference.logprobs.logprob, abs=1e-4, rel=1e-5)
    assert [t for t, _ in mine.logprobs.top] == [t for t, _ in reference.logprobs.top]
    values = [value for _, value in reference.logprobs.top]
    assert [v for _, v in mine.logprobs.top] == pytest.approx(values, abs=1e-4, rel=1e-5)


@settings(max_examples=300, derandomize=True, deadline=None)
@given(st.data())
def test_equals_the_twin(data: st.DataObject) -> None:
    size = data.draw(st.sampled_from(SIZES), "vocabulary")
    logits = random_logits(size, data.draw(st.integers(0, 1 << 30), "seed"))
    if data.draw(st.booleans(), "rounded, so that many tie"):
        logits = np.round(logits)
    arguments: dict[str, Any] = {
        "position": data.draw(st.integers(0, 1 << 40), "position"),
        "history": data.draw(st.lists(st.integers(0, size - 1), max_size=30), "history"),
        "num_prompt_tokens": data.draw(st.integers(0, 10), "num_prompt_tokens"),
    }
    if data.draw(st.booleans(), "masked"):
        words = data.draw(st.sampled_from([1, 0x80000001, 0x5555AAAA, 0xFFFFFFFF]), "mask")
        arguments["allowed"] = np.full((size + 31) // 32, words, dtype=np.uint32)
    sampling = data.draw(settings_of_a_user(size), "sampling")
    agree(sample_row(logits, sampling, **arguments), twin.sample_row(logits, sampling, **arguments))


@settings(max_examples=60, derandomize=True, deadline=None)
@given(st.sampled_from(SIZES), st.integers(0, 1 << 30), st.data())
def test_scoring_a_token_draws_nothing(size: int, seed: int, data: st.DataObject) -> None:
    logits = random_logits(size, seed)
    target = data.draw(st.integers(0, size - 1))
    sampling = SamplingParams(prompt_logprobs=5, temperature=0.7, seed=seed)
    outcome = sample_row(logits, sampling, position=3, target=target)
    assert outcome.token == target
    agree(outcome, twin.sample_row(logits, sampling, position=3, target=target))


def test_generator_equals_the_published_vectors() -> None:
    assert philox((0, 0, 0, 0), (0, 0)) == (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)
    ones = 0xFFFFFFFF
    assert philox((ones,) * 4, (ones, ones)) == (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)


@pytest.mark.parametrize("seed", [0, 1, 2**32, 2**64 - 1])
@pytest.mark.parametrize("position", [0, 1, 2**32, 2**62])
def test_native_generator_equals_its_twin(seed: int, position: int) -> None:
    assert _native.uniform(seed, position) == uniform(seed, position)


@pytest.mark.parametrize(
    "sampling",
    [
        SamplingParams(temperature=1.3),
        SamplingParams(temperature=0.8, top_k=12),
        SamplingParams(temperature=1.0, top_p=0.85),
        SamplingParams(temperature=1.5, min_p=0.1),
    ],
)
def test_draws_follow_the_distribution(sampling: SamplingParams) -> None:
    draws = 20_000
    logits = random_logits(100, 5, spread=1.5)
    kept = twin.keep(logits, sampling)
    expected = np.zeros(len(logits))
    expected[kept] = twin.weigh(logits, sampling)[kept]
    expected *= draws / expected.sum()
    tokens = [sample_row(logits, sampling, position=i).token for i in range(draws)]
    seen = np.bincount(np.array(tokens), minlength=len(logits))
    assert not seen[expected == 0].any()
    likely = expected >= 5
    degrees = int(likely.sum()) - 1
    statistic = float((((seen - expected)[likely]) ** 2 / expected[likely]).sum())
    assert statistic < degrees + 5 * math.sqrt(2 * degrees)


def test_seed_and_position_decide_the_draw() -> None:
    logits = random_logits(1000, 1)
    first = SamplingParams(temperature=1.0, seed=7)

    def draws(sampling: SamplingParams) -> list[int | None]:
        return [sample_row(logits, sampling, position=i).token for i in range(50)]

    assert draws(first) == draws(first)
    assert draws(first) != draws(SamplingParams(temperature=1.0, seed=8))
    assert len(set(draws(first))) > 10


def test_reporting_does_not_change_the_draw() -> None:
    logits = random_logits(1000, 2)
    for position in range(50):
        silent = sample_row(logits, SamplingParams(top_p=0.9), position=position)
        loud = sample_row(logits, SamplingParams(top_p=0.9, logprobs=20), position=position)
        assert silent.token == loud.token


def test_greedy_takes_the_lowest_id_of_a_tie() -> None:
    logits = np.zeros(500, dtype=np.float32)
    logits[[77, 300, 499]] = 4.0
    sampling = SamplingParams(temperature=0.0, logprobs=3)
    outcome = sample_row(logits, sampling, position=0)
    assert outcome.token == 77
    assert outcome.logprobs is not None
    assert [token for token, _ in outcome.logprobs.top] == [77, 300, 499]
    assert outcome.logprobs.rank == 1


def test_log_probabilities_are_those_before_any_setting() -> None:
    logits = random_logits(300, 3)
    best = int(np.argmax(logits))
    sampling = SamplingParams(
        temperature=0.0, logprobs=1, logit_bias={best: -100.0}, repetition_penalty=1.5
    )
    outcome = sample_row(logits, sampling, position=5, history=[best, 4, 5], num_prompt_tokens=1)
    assert outcome.logprobs is not None
    assert outcome.token != best
    assert outcome.logprobs.rank == 2
    assert outcome.logprobs.top[0][0] == best


@pytest.mark.parametrize("poison", [math.nan, -math.nan, math.inf])
@pytest.mark.parametrize("place", [0, 64, 129, 199])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_row_that_is_not_finite_gives_no_token(
    poison: float, place: int, temperature: float
) -> None:
    logits = random_logits(200, 4)
    logits[place] = poison
    sampling = SamplingParams(temperature=temperature, logprobs=2)
    assert sample_row(logits, sampling, position=0) == SampleOutcome(None)


@pytest.mark.parametrize("size", SIZES)
def test_a_row_of_minus_infinity_gives_no_token(size: int) -> None:
    logits = np.full(size, -np.inf, dtype=np.float32)
    assert sample_row(logits, SamplingParams(), position=0).token is None
    logits[size // 2] = -5.0
    assert sample_row(logits, SamplingParams(), position=0).token == size // 2


def test_a_mask_that_allows_nothing_gives_no_token() -> None:
    outcome = sample_row(
        random_logits(100, 0), SamplingParams(), position=0, allowed=np.zeros(4, dtype=np.uint32)
    )
    assert outcome.token is None


def test_only_allowed_tokens_are_drawn() -> None:
    logits = random_logits(100, 0)
    allowed = np.array([1 << 5, 0, 1 << 3, 0], dtype=np.uint32)
    for sampling in (SamplingParams(temperature=5.0), SamplingParams(temperature=0.0)):
        tokens = {
            sample_row(logits, sampling, position=i, allowed=allowed).token for i in range(40)
        }
        assert tokens <= {5, 67}


@pytest.mark.parametrize(
    "wrong",
    [{"history": [100]}, {"history": [-1]}, {"target": 100}, {"allowed": np.zeros(1, np.uint32)}],
)
def test_ids_outside_the_vocabulary_are_refused(wrong: dict[str, Any]) -> None:
    sampling = SamplingParams(repetition_penalty=1.1)
    with pytest.raises(ValueError, match=r"vocabulary|mask"):
        sample_row(random_logits(100, 0), sampling, position=0, **wrong)
