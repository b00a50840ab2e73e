"""Each refused client is given a time of its own."""

from __future__ import annotations

import pytest

from stoker.gateway.retry_times import MOST_SECONDS, MOST_TENANTS, PROMISED_SHARE, RetryTimes


def test_the_first_is_told_when_there_will_be_room_and_the_next_come_after_it() -> None:
    times = RetryTimes()
    told = [times.after("a", 10.0, 2.0, now=100.0, chance=0.0) for _ in range(3)]
    assert told == pytest.approx([10.0, 10 + 2 / PROMISED_SHARE, 10 + 4 / PROMISED_SHARE])


def test_tenants_do_not_wait_for_each_other() -> None:
    times = RetryTimes()
    for _ in range(10):
        times.after("a", 10.0, 2.0, now=0.0, chance=0.0)
    assert times.after("b", 10.0, 2.0, now=0.0, chance=0.0) == 10.0


def test_chance_only_makes_it_later_and_only_a_little() -> None:
    assert RetryTimes().after("a", 10.0, 1.0, now=0.0, chance=1.0) == pytest.approx(11.0)


def test_nobody_is_told_to_wait_for_minutes() -> None:
    times = RetryTimes()
    told = [times.after("a", 50.0, 9.0, now=0.0, chance=1.0) for _ in range(50)]
    assert max(told) <= 1.1 * MOST_SECONDS


def test_what_was_told_is_forgotten() -> None:
    times = RetryTimes()
    for index in range(3 * MOST_TENANTS):
        times.after(f"tenant {index}", 1.0, 1.0, now=0.0, chance=0.0)
    assert len(times) <= MOST_TENANTS
    for index in range(MOST_TENANTS):
        times.after("a", 1.0, 1.0, now=1000.0 + index, chance=0.0)
    assert len(times) == 1
