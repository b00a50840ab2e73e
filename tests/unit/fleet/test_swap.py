"""Models that do not fit into memory together: the budget holds, and none starves or thrashes."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stoker.errors import ConfigError
from stoker.fleet.resident import ModelDemand, ModelSize, Residence, Step
from stoker.fleet.swap import SwapPlan
from tests.support.swapping import STEP_SECONDS, World

PATIENCE = 20.0


def size(name: str, weights: int = 10, kv: int = 4, **more: float) -> ModelSize:
    return ModelSize(name=name, weight_bytes=weights, kv_bytes=kv, **{"load_seconds": 2.0, **more})  # type: ignore[arg-type]


def world(*sizes: ModelSize, budget: int, patience: float = PATIENCE) -> World:
    return World(list(sizes), budget, patience)


def test_a_model_is_loaded_when_it_is_asked_for_and_not_before() -> None:
    shared = world(size("a"), size("b"), budget=14)
    shared.run(5)
    assert not shared.steps
    asked = shared.ask("a")
    shared.run(5)
    assert asked.started == pytest.approx(5 + 2, abs=2 * STEP_SECONDS)
    assert shared.steps == {Step.LOAD: 1}


def test_pinned_models_come_first_and_stay() -> None:
    shared = world(size("a", pinned=True), size("b"), size("c"), budget=28)
    shared.run(3)
    for turn in range(60):
        shared.ask("bc"[turn % 2])
        shared.run(1)
    assert shared.plan.residence("a") is Residence.AWAKE


def test_who_can_make_room_by_sleeping_does_not_unload() -> None:
    shared = world(size("a"), size("b"), budget=24)  # both weights, and keys and values of one
    for turn in range(40):
        shared.ask("ab"[turn % 2])
        shared.run(3)
    assert shared.steps[Step.LOAD] == 2
    assert shared.steps[Step.UNLOAD] == 0
    assert shared.steps[Step.SLEEP] > 10


def test_the_one_idle_for_long_and_soon_back_goes_first() -> None:
    plan = SwapPlan(
        [size("old"), size("slow", load_seconds=60.0), size("new"), size("guest")], 42, PATIENCE
    )
    busy = ModelDemand(running=1)
    for second, name in enumerate(("old", "slow", "new")):
        plan.became(name, Residence.AWAKE, float(second))
        plan.decide({name: busy}, float(second))
    plan.decide({"new": busy}, 98.0)
    assert plan.decide({"guest": ModelDemand(waiting=1)}, 100.0) == [("old", Step.UNLOAD)]


def test_nobody_leaves_as_long_as_that_would_not_be_enough() -> None:
    plan = SwapPlan([size("a"), size("b"), size("big", weights=20)], 28, PATIENCE)
    plan.became("a", Residence.AWAKE, 0.0)
    plan.became("b", Residence.AWAKE, 99.9)
    wanted = {"big": ModelDemand(waiting=1)}
    assert plan.decide(wanted, 100.0) == []  # b has only just come
    assert dict(plan.decide(wanted, 110.0)) == {"a": Step.UNLOAD, "b": Step.UNLOAD}
    assert plan.decide(wanted, 110.0) == []


def test_alternating_requests_are_served_in_groups() -> None:
    """Two models, room for one, and ten requests a second that take turns: no more swaps than one
    for each residence, however the requests alternate."""
    shared = world(size("a"), size("b"), budget=14)
    for turn in range(1200):
        shared.ask("ab"[turn % 2])
        shared.run(STEP_SECONDS)
    shared.run(60)
    assert all(one.ended is not None for one in shared.requests)
    busy_residence = 4 * 2.0
    assert shared.steps[Step.LOAD] <= 1200 * STEP_SECONDS / busy_residence + 2
    assert max(one.waited or 0.0 for one in shared.requests) <= PATIENCE


def test_a_model_always_in_use_makes_way_after_a_while() -> None:
    shared = world(size("hog", load_seconds=100.0), size("guest"), budget=14)
    shared.ask("hog", seconds=10_000.0)
    shared.run(101)
    asked = shared.ask("guest")
    shared.run(PATIENCE + 2.0 + 2.0 + 1.0)  # until it may, its grace, and loading
    assert asked.started is not None


def test_small_models_do_not_keep_a_large_one_out() -> None:
    small = [size(f"s{number}") for number in range(4)]
    shared = world(*small, size("big", weights=24), budget=28)
    for turn in range(40):
        shared.ask(f"s{turn % 4}")
        shared.run(1)
    asked = shared.ask("big")
    for turn in range(100):
        shared.ask(f"s{turn % 4}")
        shared.run(1)
    assert asked.waited is not None
    assert asked.waited <= PATIENCE


def test_what_can_never_fit_is_refused_at_once() -> None:
    with pytest.raises(ConfigError, match="'b' needs"):
        SwapPlan([size("a", pinned=True), size("b", weights=20 << 20)], 15 << 20, PATIENCE)


@st.composite
def worlds(draw: st.DrawFn) -> World:
    count = draw(st.integers(2, 5))
    sizes = [
        size(
            f"m{number}",
            weights=draw(st.integers(1, 20)),
            kv=draw(st.integers(0, 10)),
            load_seconds=draw(st.sampled_from([0.5, 2.0, 8.0])),
            pinned=number == 0 and draw(st.booleans()),
        )
        for number in range(count)
    ]
    pinned = sum(one.awake_bytes for one in sizes if one.pinned)
    largest = max((one.awake_bytes for one in sizes if not one.pinned), default=0)
    budget = pinned + largest + draw(st.integers(0, 40))
    return World(sizes, budget, patience=draw(st.sampled_from([3.0, 10.0])))


@settings(max_examples=60)
@given(
    shared=worlds(),
    asks=st.lists(
        st.tuples(st.integers(0, 4), st.sampled_from([0.25, 1.0, 5.0]), st.integers(0, 12)),
        max_size=60,
    ),
)
def test_within_the_budget_everybody_is_served_in_time(
    shared: World, asks: list[tuple[int, float, int]]
) -> None:
    """The budget is checked in every step of the simulated world."""
    for model, seconds, pause in asks:
        shared.ask(f"m{model % len(shared.sizes)}", seconds)
        shared.run(pause * STEP_SECONDS)
    slowest = max(one.load_seconds for one in shared.sizes)
    turn = shared.patience + shared.grace + 2 * slowest + 4 * STEP_SECONDS
    cap = (len(shared.sizes) + 1) * turn
    shared.run(cap + len(shared.sizes) * (cap + 6.0))
    assert all(one.ended is not None for one in shared.requests)
    assert max((one.waited or 0.0 for one in shared.requests), default=0.0) <= cap
    loads = shared.steps[Step.LOAD]
    shortest = min(max(0.5, min(one.load_seconds, shared.patience)) for one in shared.sizes)
    assert loads <= len(shared.sizes) * (2 + shared.now / shortest)
