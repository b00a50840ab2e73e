"""When an engine counts as stuck, and when it does not."""

from __future__ import annotations

from stoker.engine.watchdog import PATIENCE, Watchdog


def test_silence_beyond_the_limit_is_stuck() -> None:
    watchdog = Watchdog()
    watchdog.tick(10.0)
    assert not watchdog.stuck
    watchdog.tick(0.1)
    assert watchdog.stuck
    watchdog.observe_answer(0, 0.0, 0.0)
    assert not watchdog.stuck


def answering(watchdog: Watchdog, seconds: int, steps: int, expected: float = 0.0) -> None:
    """An engine that answers every second while step number `steps` runs on."""
    for _ in range(seconds):
        watchdog.observe_answer(steps, 0.5, expected)
        watchdog.tick(1.0)


def test_a_step_beyond_the_limit_is_stuck_though_the_engine_answers() -> None:
    watchdog = Watchdog()
    answering(watchdog, 10, steps=3)
    assert not watchdog.stuck
    answering(watchdog, 1, steps=3)
    assert watchdog.stuck


def test_steps_that_follow_one_another_are_progress() -> None:
    watchdog = Watchdog()
    for steps in range(10):
        answering(watchdog, 9, steps)
        assert not watchdog.stuck


def test_an_idle_engine_is_never_stuck() -> None:
    watchdog = Watchdog()
    for _ in range(1000):
        watchdog.observe_answer(7, 0.0, 0.0)
        watchdog.tick(1.0)
        assert not watchdog.stuck


def test_a_long_step_may_take_many_times_what_was_expected() -> None:
    watchdog = Watchdog()
    answering(watchdog, int(2.0 * PATIENCE), steps=0, expected=2.0)
    assert not watchdog.stuck
    answering(watchdog, 1, steps=0, expected=2.0)
    assert watchdog.stuck


def test_patience_with_a_long_step_is_no_patience_with_silence() -> None:
    watchdog = Watchdog()
    answering(watchdog, 1, steps=0, expected=100.0)
    watchdog.tick(10.0)
    assert watchdog.stuck
