"""What a controller does with replicas that start, refuse, fail, double or vanish (F21, L9)."""

from __future__ import annotations

import asyncio
import itertools
import math

from stoker.config.fleet_schema import AutoscaleSection
from stoker.fleet.autoscaler import Autoscaler
from stoker.fleet.controller import MOST_REFUSED_SECONDS, Controller
from stoker.fleet.interface import ReplicaId, ReplicaState
from stoker.fleet.pool_sample import Decision
from stoker.fleet.supply import Standing, changes
from stoker.observe.metrics import Metrics
from stoker.observe.replicas import ReplicaGauges
from tests.support.placing import Scaled

BOUNDS = AutoscaleSection(minimum=1, maximum=8)
READY, STARTING, SLEEPING = ReplicaState.READY, ReplicaState.STARTING, ReplicaState.SLEEPING


def standing(name: str, state: ReplicaState = READY, in_flight: int = 0) -> Standing:
    return Standing(ReplicaId(name), state, in_flight)


def test_sleepers_are_woken_before_others_are_started() -> None:
    found = changes(Decision(desired=4, why=""), [standing("a"), standing("b", SLEEPING)])
    assert (found.wake, found.start, found.sleep, found.stop) == (("b",), 2, (), ())


def test_the_emptiest_leave_first_and_sleep_if_wanted() -> None:
    replicas = [standing("a", READY, 5), standing("b"), standing("c", READY, 1), standing("d")]
    found = changes(Decision(desired=1, standbys=1, why=""), replicas)
    assert (found.sleep, set(found.stop)) == (("b",), {"c", "d"})
    assert changes(Decision(desired=3, why=""), replicas).stop == ("b",)


def test_sleepers_too_many_end_and_those_that_leave_already_are_let_be() -> None:
    replicas = [
        standing("a"),
        standing("b", SLEEPING),
        standing("c", SLEEPING),
        standing("d", ReplicaState.DRAINING),
        standing("e", ReplicaState.GONE),
    ]
    assert changes(Decision(desired=1, standbys=1, why=""), replicas).stop == ("b",)
    assert changes(Decision(desired=0, standbys=2, why=""), replicas).stop == ("a",)
    assert changes(Decision(desired=1, standbys=2, why=""), replicas).stop == ()


async def test_it_brings_up_the_minimum_and_grows_with_demand() -> None:
    scaled = Scaled(BOUNDS)
    assert await scaled.run(4) == [1, 1]
    scaled.rate = 3.5
    assert max(await scaled.run(60)) == 5


async def test_l9_a_day_from_one_to_eight_and_back_turns_once() -> None:
    scaled = Scaled(BOUNDS)
    counts: list[int] = []
    for minute in range(240):
        scaled.rate = 0.7 * (1 + 6.5 * math.sin(math.pi * minute / 240) ** 2)
        counts += await scaled.run(60)
    scaled.rate = 0.6
    counts += await scaled.run(1800)
    assert (counts[0], max(counts), counts[-1]) == (1, 8, 1)
    moves = [b > a for a, b in itertools.pairwise(counts) if a != b]
    assert sum(a != b for a, b in itertools.pairwise(moves)) == 1


async def test_f21_a_provider_that_refuses_is_asked_again_and_not_in_a_storm() -> None:
    scaled = Scaled(BOUNDS, room=2)
    scaled.rate = 5.0
    assert max(await scaled.run(600)) == 2
    assert 2 + 600 / MOST_REFUSED_SECONDS <= scaled.placer.num_starts < 25
    scaled.placer.room = 100
    assert max(await scaled.run(MOST_REFUSED_SECONDS + 10)) == 8


async def test_f21_replicas_that_fail_to_start_are_replaced_and_not_in_a_storm() -> None:
    scaled = Scaled(BOUNDS)
    for _ in range(300):
        await scaled.run(2, starts=False)
        for replica in scaled.placer.replicas:
            replica.fail()
    assert 5 < scaled.placer.num_starts < 25


async def test_f21_replicas_that_came_twice_do_not_stay_above_the_maximum() -> None:
    scaled = Scaled(BOUNDS)
    scaled.rate = 100.0
    await scaled.run(10)
    await scaled.placer.open(20)
    await scaled.run(10)
    assert scaled.present == 8


async def test_f21_unmeasured_demand_changes_nothing() -> None:
    scaled = Scaled(BOUNDS)
    scaled.rate = 3.5
    await scaled.run(600)
    before = scaled.present
    scaled.rate = math.nan
    assert set(await scaled.run(3600)) == {before}
    assert scaled.controller.decision.why == "hold"


async def test_to_zero_asleep_first_then_gone_and_back_at_the_first_request() -> None:
    scaled = Scaled(AutoscaleSection(minimum=0, maximum=4, idle_seconds=60))
    scaled.rate = 0.5
    await scaled.run(60)
    scaled.rate = 0.0
    await scaled.run(70)
    assert (scaled.present, scaled.placer.count(SLEEPING)) == (0, 1)
    scaled.busy = {"": 1}
    await scaled.run(4)
    assert scaled.present == 1
    assert scaled.placer.num_starts == 1  # it was woken
    scaled.busy = {}
    await scaled.run(3600)
    assert not scaled.placer.replicas
    scaled.busy = {"": 1}
    await scaled.run(4)
    assert scaled.present == 1


async def test_a_new_controller_keeps_what_it_finds() -> None:
    scaled = Scaled(BOUNDS)
    await scaled.placer.open(6)
    assert set(await scaled.run(290)) == {6}


async def test_a_cold_start_is_measured_and_planned_with() -> None:
    scaled = Scaled(BOUNDS)
    scaled.controller.step()
    await asyncio.sleep(0)
    scaled.clock.advance(77.0)
    await scaled.run(2)
    scaled.controller.step()
    assert scaled.controller._cold.seconds == 77.0


async def test_how_many_there_should_be_is_a_metric() -> None:
    scaled = Scaled(BOUNDS)
    scaled.rate = 3.5
    await scaled.run(60)
    gauges, metrics = ReplicaGauges(), Metrics()
    gauges.watch("tiny", scaled.controller.counts)
    metrics.register(gauges)
    text = metrics.render().decode()
    assert 'stoker_desired_replicas{model_name="tiny"} 5.0' in text
    assert 'stoker_replicas{model_name="tiny",state="ready"} 5.0' in text


async def test_it_ends_when_cancelled_and_leaves_no_task() -> None:
    scaled = Scaled(BOUNDS)
    controller = Controller(
        scaled.placer, Autoscaler(BOUNDS), scaled, scaled.clock, grace=0, interval=0.001
    )
    running = asyncio.create_task(controller.run())
    while not scaled.placer.replicas:
        await asyncio.sleep(0)
    controller.poke()
    await asyncio.sleep(0.005)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert not controller._tasks
