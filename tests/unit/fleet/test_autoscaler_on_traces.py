"""The autoscaler beside others' rules in the fluid model, on a smooth trace, on bursts it was never
fitted to, and where demand surges."""

from __future__ import annotations

import math
import statistics

import pytest

from benchmarks.autoscale.fluid_pool import Outcome, Policy, replay
from benchmarks.autoscale.policies import Hpa, Keda, Kpa, Ours, Ray
from benchmarks.autoscale.traces import (
    Trace,
    azure,
    bursts,
    by_second,
    mean_work,
    shifted,
    surging,
)


def outcome(trace: Trace, policy: Policy, cold_seconds: float) -> Outcome:
    return replay(trace, policy, math.ceil(mean_work(trace) / 0.7), cold_seconds)


def mean(outcomes: list[Outcome], name: str) -> float:
    return statistics.mean(getattr(one, name) for one in outcomes)


@pytest.mark.parametrize("shift", [0.0, 300.0, 1500.0])
def test_smooth_demand_is_met_with_no_more_waiting_and_no_more_replicas(shift: float) -> None:
    trace = by_second(shifted(azure(), shift))
    ours = outcome(trace, Ours(), 180.0)
    for policy in (Hpa(), Keda(), Ray()):
        other = outcome(trace, policy, 180.0)
        assert ours.missed_percent <= other.missed_percent
        assert ours.mean_replicas < 1.01 * other.mean_replicas
    assert ours.turns <= 4


def test_in_bursts_fewer_wait_and_nobody_does_better_with_less() -> None:
    traces = [by_second(bursts(seed)) for seed in range(11, 17)]
    ours = [outcome(trace, Ours(), 60.0) for trace in traces]
    for policy in (Hpa, Keda, Ray, Kpa):
        others = [outcome(trace, policy(), 60.0) for trace in traces]
        assert mean(ours, "missed_percent") < mean(others, "missed_percent")
        assert mean(ours, "turns") < mean(others, "turns")
        for mine, other in zip(ours, others, strict=True):
            assert (
                mine.missed_percent < other.missed_percent
                or mine.mean_replicas < other.mean_replicas
            )


def test_replicas_that_sleep_shorten_waits_in_bursts() -> None:
    traces = [by_second(bursts(seed)) for seed in range(11, 17)]
    awake = [outcome(trace, Ours(), 60.0) for trace in traces]
    asleep = [outcome(trace, Ours(ladder=True), 60.0) for trace in traces]
    assert mean(asleep, "missed_percent") < mean(awake, "missed_percent")


def test_a_surge_to_three_times_turns_no_more_than_twice_for_each_change() -> None:
    trace = by_second(surging(azure(), 3))
    ours, hpa = outcome(trace, Ours(), 60.0), outcome(trace, Hpa(), 60.0)
    assert ours.missed_percent < hpa.missed_percent
    assert ours.turns <= 4  # the load changes twice
