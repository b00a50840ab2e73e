from __future__ import annotations

from stoker.engine.watchdog import Watchdog


def test_silence_beyond_the_limit_is_stuck() -> None:
    watchdog = Watchdog(now=100.0)
    assert not watchdog.stuck(110.0)
    assert watchdog.stuck(110.1)
    watchdog.observe_answer(110.1, 0.0)
    assert not watchdog.stuck(120.0)


def test_a_step_beyond_the_limit_is_stuck_though_the_engine_answers() -> None:
    watchdog = Watchdog(now=0.0)
    watchdog.observe_answer(1.0, 9.9)
    assert not watchdog.stuck(1.0)
    watchdog.observe_answer(2.0, 10.1)
    assert watchdog.stuck(2.0)


def test_the_limit_grows_with_the_steps_that_are_usual() -> None:
    watchdog = Watchdog(now=0.0)
    for i in range(1, 6):
        watchdog.observe_steps(i * 10, i * 20.0)  # two seconds a step
    assert watchdog.limit == 40.0
    watchdog.observe_answer(1.0, 30.0)
    assert not watchdog.stuck(1.0)


def test_a_load_report_without_new_steps_changes_nothing() -> None:
    watchdog = Watchdog(now=0.0)
    watchdog.observe_steps(0, 0.0)
    assert watchdog.limit == 10.0
