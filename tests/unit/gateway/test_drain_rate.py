"""How fast work drains: untouched by idle time and single hung turns, following what is real."""

from __future__ import annotations

import pytest

from stoker.gateway.drain_rate import FIRST_PACE, DrainRate


def steady(drain: DrainRate, pace: float, *, turns: int = 8, count: int = 2000) -> None:
    """So many turns of 2 seconds in a full pool."""
    for _ in range(count):
        drain.worked(2 * pace, 2.0, turns, turns)
        drain.ended(2.0, turns)


def test_it_finds_the_rate_and_follows_it() -> None:
    drain = DrainRate()
    assert drain.rate(8) == 8 * FIRST_PACE
    steady(drain, 300.0)
    assert drain.rate(8) == pytest.approx(2400, rel=0.01)
    steady(drain, 100.0)
    assert drain.rate(8) == pytest.approx(800, rel=0.02)
    assert drain.turn_seconds == pytest.approx(2.0)


def test_more_turns_drain_more_at_once() -> None:
    drain = DrainRate()
    steady(drain, 300.0, turns=8)
    assert drain.rate(16) == pytest.approx(4800, rel=0.01)


def test_the_first_guess_is_soon_forgotten() -> None:
    drain = DrainRate()
    steady(drain, 1000.0, turns=4, count=8)
    assert drain.rate(4) == pytest.approx(4000, rel=0.1)


def test_one_turn_that_hung_for_an_hour_hardly_counts() -> None:
    drain = DrainRate()
    steady(drain, 300.0)
    drain.worked(10.0, 3600.0, 8, 8)
    drain.ended(3600.0, 8)
    assert drain.rate(8) > 1800
    assert drain.turn_seconds < 3.0


def test_quick_turns_in_an_empty_pool_do_not_hide_what_a_full_one_does() -> None:
    drain = DrainRate()
    steady(drain, 100.0)
    for _ in range(100):
        drain.worked(500.0, 1.0, 1, 8)
    assert drain.rate(8) < 8 * 120


def test_a_long_turn_is_longer_than_most() -> None:
    drain = DrainRate()
    for index in range(400):
        drain.ended(1.0 + index % 4, 16)
    assert 4.0 <= drain.long_turn_seconds <= 5.5


def test_without_a_turn_nothing_is_divided_by_zero() -> None:
    drain = DrainRate(first_pace=0.0)
    drain.worked(0.0, 0.0, 0, 0)
    drain.worked(0.0, 100.0, 1, 1)
    assert drain.seconds(10.0, 0) > 0
