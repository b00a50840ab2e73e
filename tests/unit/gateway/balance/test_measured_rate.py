"""Rates that a choice can lean on."""

from __future__ import annotations

import pytest

from stoker.gateway.balance.measured_rate import MeasuredRate, ReplicaRate


def test_small_pieces_say_little() -> None:
    rate = MeasuredRate(1000.0)
    rate.add(50_000, 10.0)
    rate.add(1, 0.05)  # a cached prompt: one token, and the step's own time
    assert rate.per_second == pytest.approx(5000, rel=0.01)


def test_a_first_guess_is_forgotten_at_once() -> None:
    rate = MeasuredRate(1000.0)
    assert rate.per_second == 1000.0
    rate.add(5000, 1.0)
    assert rate.per_second == pytest.approx(5000, rel=0.05)


def test_a_replica_without_measurements_is_as_fast_as_its_pool() -> None:
    pool = MeasuredRate(1000.0)
    one, other = ReplicaRate(pool), ReplicaRate(pool)
    one.add(5000, 1.0)
    assert other.per_second == pool.per_second
    assert one.per_second == pytest.approx(other.per_second, rel=0.05)


def test_a_slow_replica_is_found_out() -> None:
    pool = MeasuredRate(1000.0)
    fast, slow = ReplicaRate(pool), ReplicaRate(pool)
    for _ in range(40):
        fast.add(4000, 1.0)
        slow.add(1000, 1.0)
    assert fast.per_second == pytest.approx(4000, rel=0.1)
    assert slow.per_second == pytest.approx(1000, rel=0.2)


def test_nothing_in_no_time_changes_nothing() -> None:
    rate = ReplicaRate(MeasuredRate(7.0))
    rate.add(0, 1.0)
    rate.add(1, 0.0)
    assert rate.per_second == pytest.approx(7.0)
