"""The autoscaler sees what it is told and nothing else: these are its rules, one by one (F21)."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import pytest
from msgspec.structs import replace

from stoker.config.fleet_schema import AutoscaleSection
from stoker.fleet.autoscaler import STALE_SECONDS, Autoscaler
from stoker.fleet.pool_sample import Decision, PoolSample

EVERY = 5.0
BOUNDS = AutoscaleSection(minimum=1, maximum=40)


class Played:
    """An autoscaler whose every wish comes true, after a cold start."""

    def __init__(self, bounds: AutoscaleSection = BOUNDS, ready: int = 1, cold: float = 60.0):
        self.autoscaler = Autoscaler(bounds)
        self.now = 0.0
        self.ready = ready
        self.sleeping = 0
        self.starting: list[float] = []
        self.cold = cold
        self.decisions: list[Decision] = []
        self.decision = self.step(0.0)

    def sample(self, rate: float, waiting: float = 0.0) -> PoolSample:
        return PoolSample(
            time=self.now,
            arrived_work=rate * EVERY,
            waiting_work=waiting,
            ready=self.ready,
            starting=len(self.starting),
            sleeping=self.sleeping,
            cold_seconds=self.cold,
        )

    def step(self, rate: float, waiting: float = 0.0) -> Decision:
        self.ready += sum(at <= self.now for at in self.starting)
        self.starting = [at for at in self.starting if at > self.now]
        self.autoscaler.observe(self.sample(rate, waiting), self.now)
        self.decision = self.autoscaler.decide(self.now)
        self.decisions.append(self.decision)
        self.now += EVERY
        self._apply(self.decision.desired)
        return self.decision

    def _apply(self, desired: int) -> None:
        present = self.ready + len(self.starting)
        self.starting += [self.now + self.cold] * (desired - present)
        for _ in range(present - desired):
            if self.starting:
                self.starting.pop()
            else:
                self.ready -= 1

    def run(self, seconds: float, rate: Callable[[float], float]) -> list[int]:
        """What was desired at each step."""
        begun = len(self.decisions)
        for _ in range(int(seconds / EVERY)):
            self.step(rate(self.now))
        return [decision.desired for decision in self.decisions[begun:]]


def direction_changes(counts: list[int]) -> int:
    steps = [after - before for before, after in itertools.pairwise(counts)]
    moves = [step > 0 for step in steps if step]
    return sum(a != b for a, b in itertools.pairwise(moves))


def test_demand_is_met_at_the_utilisation_that_was_asked_for() -> None:
    played = Played()
    assert max(played.run(60, lambda _: 7.0)) == 10  # of which 70 % are busy
    assert played.decision.why == "steady"


def test_out_is_at_once_and_in_waits_for_a_whole_window_then_a_tenth_a_minute() -> None:
    played = Played(ready=10)
    assert set(played.run(295, lambda _: 0.7)) == {10}
    assert played.decision.why == "window"
    counts = played.run(3600, lambda _: 0.7)
    assert counts[-1] == 1
    for index in range(len(counts)):
        minute = counts[index : index + int(60 / EVERY)]
        assert minute[0] - minute[-1] <= max(1, 0.1 * minute[0])
    started = len(played.decisions)
    played.run(15, lambda _: 20.0)
    assert played.decisions[started].desired > 1


def test_a_cold_start_of_minutes_makes_the_window_longer() -> None:
    played = Played(ready=10, cold=400.0)
    assert set(played.run(795, lambda _: 0.7)) == {10}
    assert min(played.run(120, lambda _: 0.7)) < 10


def test_after_a_restart_of_the_controller_nothing_is_given_up_before_a_window_was_seen() -> None:
    quiet = Played(ready=8)
    assert set(quiet.run(295, lambda _: 0.1)) == {8}


def test_bursts_that_recur_are_provided_for_when_a_start_takes_long() -> None:
    def bursts(now: float) -> float:
        return 20.0 if now % 300 < 20 else 0.5

    slow, fast = Played(cold=60.0), Played(cold=5.0)
    slow.run(2400, bursts)
    fast.run(2400, bursts)
    assert slow.decision.desired >= 20
    assert fast.decision.desired < 15


def test_replicas_that_sleep_stand_in_for_those_kept_awake_for_bursts() -> None:
    def bursts(now: float) -> float:
        return 10.0 if now % 300 < 20 else 0.5

    played = Played(cold=60.0)
    played.sleeping = 6
    played.run(3600, bursts)
    assert played.decision.desired <= 6
    assert played.decision.standbys >= 5


def test_a_backlog_wakes_those_that_sleep_and_starts_others_only_for_what_will_be_left() -> None:
    played = Played(ready=4)
    played.run(60, lambda _: 2.0)
    played.sleeping = 3
    assert played.step(2.0, waiting=30.0).desired == 7
    assert played.decision.why == "wake"
    assert played.step(2.0, waiting=2000.0).desired > 7
    assert played.decision.why == "drain"


def test_the_bounds_hold_at_both_ends_and_when_they_change() -> None:
    played = Played(AutoscaleSection(minimum=2, maximum=5))
    assert played.decision.desired == 2
    assert max(played.run(60, lambda _: 100.0)) == 5
    played.autoscaler.bounds = AutoscaleSection(minimum=1, maximum=3)
    assert played.autoscaler.desired == 3
    assert played.step(100.0).desired == 3
    assert played.decision.why == "bounds"


def test_without_a_request_for_long_enough_it_goes_to_none_and_the_first_one_brings_one() -> None:
    played = Played(AutoscaleSection(minimum=0, maximum=4, idle_seconds=120))
    played.run(60, lambda _: 2.0)
    assert min(played.run(115, lambda _: 0.0)) >= 1
    played.run(15, lambda _: 0.0)
    assert (played.decision.desired, played.decision.why) == (0, "idle")
    assert played.decision.standbys >= 1  # asleep at first
    played.run(3600, lambda _: 0.0)
    assert (played.decision.desired, played.decision.standbys) == (0, 0)
    assert played.step(0.0, waiting=0.01).desired == 1


def test_a_request_that_runs_for_long_is_no_idle_time() -> None:
    played = Played(AutoscaleSection(minimum=0, maximum=4, idle_seconds=60))
    for _ in range(100):
        played.autoscaler.observe(replace(played.sample(0.0), in_flight=1), played.now)
        assert played.autoscaler.decide(played.now).desired == 1
        played.now += EVERY


@pytest.mark.parametrize(
    "unsound",
    [
        {"arrived_work": math.nan},
        {"waiting_work": math.inf},
        {"arrived_work": -1.0},
        {"cold_seconds": math.nan},
        {"wake_seconds": math.nan},
        {"ready": -1},
        {"time": math.nan},
    ],
    ids=str,
)
def test_f21_what_is_not_a_measurement_changes_nothing(unsound: dict[str, float]) -> None:
    played = Played(ready=6)
    played.run(600, lambda _: 4.2)
    before = played.autoscaler.desired
    for _ in range(500):
        played.autoscaler.observe(replace(played.sample(0.0), **unsound), played.now)
        assert played.autoscaler.decide(played.now).desired == before
        played.now += EVERY
    assert played.autoscaler.decide(played.now).why == "hold"


def test_f21_missing_metrics_hold_and_what_was_not_seen_is_no_reason_to_give_up() -> None:
    played = Played(ready=6)
    played.run(600, lambda _: 4.2)
    before = played.autoscaler.desired
    assert played.autoscaler.decide(played.now + STALE_SECONDS).why == "hold"
    played.now += 3600
    assert played.step(0.1).desired == before
    assert set(played.run(290, lambda _: 0.1)) == {before}


def test_f21_duplicates_and_samples_out_of_order_count_once() -> None:
    played = Played()
    for _ in range(60):
        sample = played.sample(3.5)
        played.step(3.5)
        for _ in range(5):
            played.autoscaler.observe(sample, played.now)
            played.autoscaler.observe(replace(sample, time=sample.time - 60), played.now)
    assert played.decision.desired == 5


def test_f21_without_any_metrics_there_is_the_minimum() -> None:
    autoscaler = Autoscaler(AutoscaleSection(minimum=3, maximum=5))
    assert (autoscaler.decide(0.0).desired, autoscaler.decide(99.0).why) == (3, "hold")


@pytest.mark.parametrize("cold", [5.0, 60.0, 180.0])
def test_l9_a_day_from_one_to_eight_and_back_turns_once(cold: float) -> None:
    """Demand of one replica at night and of eight at noon, with noise, in a day of four hours."""

    def day(now: float) -> float:
        noise = math.sin(now * 1.7) + math.sin(now * 0.37) + math.sin(now * 0.113)
        return 0.7 * (1 + 6.5 * math.sin(math.pi * now / 14400) ** 2) * (1 + 0.05 * noise)

    played = Played(cold=cold)
    counts = [1, *played.run(14400, day), *played.run(1800, lambda _: 0.6)]
    assert max(counts) >= 8
    assert counts[-1] <= 2
    assert direction_changes(counts) <= 1


def test_a_step_up_and_one_down_turn_once() -> None:
    played = Played()
    counts = played.run(1200, lambda _: 1.4) + played.run(1200, lambda _: 5.6)
    counts += played.run(3600, lambda _: 1.4)
    assert (counts[0], max(counts), counts[-1]) == (2, 8, 2)
    assert direction_changes(counts) == 1
