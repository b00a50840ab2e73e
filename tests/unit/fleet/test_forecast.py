"""A forecast counts while it beats 'as it is now', and not longer."""

from __future__ import annotations

import math
import random

from stoker.fleet.demand_history import DemandHistory
from stoker.fleet.forecast import Forecast

STEP = 10.0
DAY = 86400.0


def fed(rates: list[float], horizon: float = 60.0, step: float = STEP) -> Forecast:
    forecast = Forecast(step)
    for index, rate in enumerate(rates):
        forecast.observe(rate, index * step, horizon)
    return forecast


def test_nothing_is_said_before_forecasts_have_come_due() -> None:
    assert fed([1.0, 2.0, 3.0]).best is None


def test_a_steady_rise_is_seen_ahead() -> None:
    best = fed([0.05 * index for index in range(200)]).best
    assert best is not None
    assert 0.05 * 199 < best < 0.05 * 230


def test_noise_around_a_level_is_not_believed() -> None:
    random_ = random.Random(1)
    assert fed([5 + random_.random() * 0.1 for _ in range(30)]).best is None


def test_it_is_dropped_again_when_it_begins_to_be_wrong() -> None:
    rising = [0.05 * index for index in range(200)]
    sawtooth = [10.0 + 3 * (index % 7 < 3) for index in range(300)]
    assert fed(rising + sawtooth).best is None


def test_the_same_hour_of_last_week_is_remembered() -> None:
    """A jump at nine every morning that no trend can see coming."""

    def rate(seconds: float) -> float:
        return 8.0 if 9 <= seconds % DAY / 3600 < 17 else 1.0

    step, horizon = 900.0, 900.0
    forecast = fed([rate(index * step) for index in range(9 * 96 + 9 * 4)], horizon, step)
    assert forecast.best == 8.0  # a quarter before nine, on the third day of the second week


def test_memory_is_bounded_and_rates_are_of_the_time_that_was_seen() -> None:
    history = DemandHistory()
    assert (history.rate(60), history.quantile(0.99), history.rise(0.99, 60)) == (0, 0, 0)
    for index in range(1, 100_000):
        history.add(index * 2.0, 2.0, 3.0)
    assert len(history._pieces) == 120
    assert len(history._recent) <= 31
    assert math.isclose(history.rate(60), 1.5)
    assert math.isclose(history.quantile(0.98), 1.5)
    assert history.rise(0.99, 60) == 0.0
