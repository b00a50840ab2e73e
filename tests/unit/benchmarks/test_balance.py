"""The balancing policies on a public trace, and what the replay itself promises."""

from __future__ import annotations

import pytest

from benchmarks import balance
from benchmarks.balance_replay import BLOCK_TOKENS, Arrival, Replayed, read_trace


@pytest.fixture(scope="module")
def trace() -> list[Arrival]:
    return read_trace(balance.TRACE)


@pytest.fixture(scope="module")
def hashed(trace: list[Arrival]) -> Replayed:
    return balance.replay(trace, balance.POLICIES[balance.HASH])


@pytest.fixture(scope="module")
def cost(trace: list[Arrival]) -> Replayed:
    return balance.replay(trace, balance.POLICIES[balance.COST])


def test_the_trace_is_whole(trace: list[Arrival]) -> None:
    assert len(trace) == 12_031
    assert all(
        len(one.digests) == -(-one.input_tokens // BLOCK_TOKENS) and one.output_tokens > 0
        for one in trace
    )
    known = {digest for one in trace for digest in one.digests}
    blocks = sum(len(one.digests) for one in trace)
    assert 1 - len(known) / blocks == pytest.approx(0.366, abs=0.001)


def test_cost_finds_nearly_what_a_hash_finds_and_spreads_the_work(
    hashed: Replayed, cost: Replayed
) -> None:
    assert hashed.hit_rate == pytest.approx(0.359, abs=0.002)
    assert cost.hit_rate >= 0.90 * hashed.hit_rate
    assert cost.imbalance <= 1.05 < hashed.imbalance


def test_the_first_token_comes_sooner_than_with_least_loaded(
    trace: list[Arrival], hashed: Replayed, cost: Replayed
) -> None:
    least = balance.replay(trace, balance.POLICIES["least loaded"])
    assert mean(cost) < 0.8 * mean(least) < mean(hashed)
    assert cost.hit_rate > 2 * least.hit_rate


def test_guessing_from_what_was_sent_is_nearly_as_good(
    trace: list[Arrival], hashed: Replayed
) -> None:
    guessed = balance.replay_guessing(trace, balance.POLICIES[balance.COST])
    assert guessed.hit_rate >= 0.90 * hashed.hit_rate
    assert guessed.imbalance <= 1.05


def test_looking_for_the_longest_prefix_alone_sends_all_to_one(trace: list[Arrival]) -> None:
    found = balance.replay(trace[:2000], balance.POLICIES["longest prefix only"])
    assert found.imbalance == pytest.approx(balance.NUM_REPLICAS)


def mean(replayed: Replayed) -> float:
    return sum(replayed.first_token) / len(replayed.first_token)
