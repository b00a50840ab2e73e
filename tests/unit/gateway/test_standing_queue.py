"""A burst is let drain; what never drains is a standing queue, and the lowest band pays first."""

from __future__ import annotations

from collections.abc import Callable

from stoker.gateway.standing_queue import StandingQueue

TARGET, INTERVAL = 1.0, 10.0


def watch(queue: StandingQueue, backlog: Callable[[float], float], start: int, end: int) -> None:
    for tenth in range(start * 10, end * 10):
        queue.observe(backlog(tenth / 10), TARGET, INTERVAL, tenth / 10)


def test_a_burst_that_drains_is_not_standing() -> None:
    queue = StandingQueue()
    watch(queue, lambda now: max(30 - 0.7 * now, 0), 0, 60)
    assert queue.intervals == 0


def test_short_waits_that_never_end_are_not_standing() -> None:
    queue = StandingQueue()
    watch(queue, lambda now: 0.9, 0, 60)
    assert queue.intervals == 0


def test_dipping_below_the_target_now_and_then_is_not_standing() -> None:
    queue = StandingQueue()
    watch(queue, lambda now: 5.0 if now % 9 > 1 else 0.5, 0, 60)
    assert queue.intervals == 0


def test_what_stays_is_shed_more_and_more_from_the_lowest_band_up() -> None:
    queue = StandingQueue()
    shares = []
    for end in range(0, 90, 10):
        watch(queue, lambda now: 5.0, end, end + 10)
        shares.append((queue.shed_share(0), queue.shed_share(1)))
    assert shares[0] == (0.0, 0.0)
    assert shares[2] == (0.5, 0.0)
    assert shares[4] == (1.0, 0.0)
    assert shares[6] == (1.0, 0.5)
    assert shares[8] == (1.0, 1.0)


def test_it_is_over_once_the_queue_has_drained() -> None:
    queue = StandingQueue()
    watch(queue, lambda now: 5.0, 0, 50)
    queue.observe(0.5, TARGET, INTERVAL, 50.0)
    assert queue.shed_share(0) == 0.0
