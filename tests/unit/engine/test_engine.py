"""The step loop's body: what a failing executor may and may not do."""

from __future__ import annotations

import math
from collections.abc import Container

import msgspec
import pytest

from stoker.core.clock import ManualClock
from stoker.core.constraint import Constraint, ConstraintKind
from stoker.core.ids import RequestId
from stoker.core.output import FinishReason
from stoker.core.request import Request
from stoker.core.sampling import SamplingParams
from stoker.engine.engine import MAX_FAILED_STEPS, Engine
from stoker.errors import InternalError, InvalidRequest, Overloaded, UnsupportedConstraint
from stoker.executor.fake import FakeExecutor, FakeOptions, expected_tokens
from stoker.executor.interface import SliceResult, StepHandle, StepResult
from stoker.scheduler.plan import StepPlan
from tests.support.driving import make_scheduler

VOCABULARY = FakeOptions().vocab_size


class Failing:
    """Raises in the steps whose numbers are given, and in those with a request named `raising`;
    gives rows that are no numbers to those named `poisoned`, or to all."""

    def __init__(
        self,
        failing: Container[int] = (),
        raising: str = "raising",
        poisoned: Container[str] = ("bad",),
    ) -> None:
        self.inner = FakeExecutor(FakeOptions())
        self.failing = failing
        self.raising = raising
        self.poisoned = poisoned
        self.steps = 0

    def __getattr__(self, name: str) -> object:
        return getattr(self.inner, name)

    def submit(self, plan: StepPlan) -> StepHandle:
        self.plan = plan
        self.steps += 1
        if self.steps in self.failing:
            raise RuntimeError("the device is gone")
        if any(piece.request_id == self.raising for piece in plan.slices):
            raise ValueError("a number is out of range")
        return self.inner.submit(plan)

    def collect(self, handle: StepHandle) -> StepResult:
        result = self.inner.collect(handle)
        slices = tuple(
            SliceResult(error_code="numerical_error")
            if piece.request_id in self.poisoned
            else outcome
            for piece, outcome in zip(self.plan.slices, result.slices, strict=True)
        )
        return StepResult(slices, result.seconds)


class Everything:
    """Contains whatever is asked for."""

    def __contains__(self, _thing: object) -> bool:
        return True


def build(executor: Failing) -> Engine:
    return Engine(executor, make_scheduler(executor), ManualClock(), VOCABULARY)  # type: ignore[arg-type]


def request(name: str, tokens: int = 4) -> Request:
    return Request(
        request_id=RequestId(name),
        prompt_token_ids=(1, 2, 3),
        sampling=SamplingParams(max_tokens=tokens, seed=len(name)),
    )


def finish(engine: Engine) -> dict[str, tuple[list[int], FinishReason | None]]:
    found: dict[str, tuple[list[int], FinishReason | None]] = {}
    while not engine.idle:
        for delta in engine.step():
            tokens, _ = found.get(delta.request_id, ([], None))
            tokens += delta.token_ids
            found[delta.request_id] = (tokens, delta.finish.reason if delta.finish else None)
    return found


def test_a_failed_step_ends_the_requests_in_it_and_no_other() -> None:
    engine = build(Failing({2}))
    engine.submit(request("early"))
    engine.step()
    assert finish(engine)["early"][1] is FinishReason.ERROR
    engine.submit(request("later"))
    assert finish(engine)["later"] == (expected_tokens((1, 2, 3), 5, 4), FinishReason.LENGTH)
    assert not engine.broken


@pytest.mark.parametrize(
    "executor", [Failing(failing=Everything()), Failing(poisoned=Everything())]
)
def test_an_engine_that_computes_nothing_right_is_replaced(executor: Failing) -> None:
    """F10: every step raises, or every row is bad, the engine's own test included."""
    engine = build(executor)
    for attempt in range(MAX_FAILED_STEPS):
        assert not engine.broken
        engine.submit(request(f"try {attempt}"))
        assert finish(engine)[f"try {attempt}"] == ([], FinishReason.ERROR)
    assert engine.broken


@pytest.mark.parametrize("name", ["bad", "raising"])
def test_requests_that_fail_by_themselves_never_cost_the_engine(name: str) -> None:
    engine = build(Failing())
    for _ in range(6 * MAX_FAILED_STEPS):
        engine.submit(request(name))
        assert finish(engine)[name] == ([], FinishReason.ERROR)
        assert not engine.broken
    engine.submit(request("good"))
    assert finish(engine)["good"] == (expected_tokens((1, 2, 3), 4, 4), FinishReason.LENGTH)
    load = engine.load()
    assert (load.used_blocks, load.broken_invariants) == (0, 0)


def test_a_self_test_leaves_the_prefix_cache_right() -> None:
    executor = Failing()
    engine = Engine(executor, make_scheduler(executor, num_blocks=4), ManualClock(), VOCABULARY)  # type: ignore[arg-type]
    for name in ("first", *["bad"] * MAX_FAILED_STEPS, "again"):
        engine.submit(request(name, 40))
        tokens, _ = finish(engine)[name]
        assert tokens == ([] if name == "bad" else expected_tokens((1, 2, 3), 5, 40))
    assert engine.load().broken_invariants == 0


def test_what_raises_in_a_step_ends_alone_and_its_neighbours_lose_nothing() -> None:
    engine = build(Failing())
    for name in ("before", "raising", "after"):
        engine.submit(request(name))
    results = finish(engine)
    assert results["raising"] == ([], FinishReason.ERROR)
    for name in ("before", "after"):
        assert results[name] == (expected_tokens((1, 2, 3), len(name), 4), FinishReason.LENGTH)
    assert not engine.broken


def test_one_bad_row_among_good_ones_is_not_the_engines_failure() -> None:
    engine = build(Failing())
    for i in range(5):
        engine.submit(request("bad"))
        engine.submit(request(f"good {i}"))
        results = finish(engine)
        assert results["bad"] == ([], FinishReason.ERROR)
        assert results[f"good {i}"][1] is FinishReason.LENGTH
        assert not engine.broken


def test_load_adds_up() -> None:
    engine = build(Failing())
    engine.submit(request("one", 3))
    finish(engine)
    load = engine.load()
    assert (load.num_running, load.num_waiting, load.used_blocks) == (0, 0, 0)
    assert (load.prompt_tokens, load.output_tokens, load.broken_invariants) == (3, 3, 0)


def test_the_pulse_tells_how_long_a_step_runs_and_was_expected_to() -> None:
    clock = ManualClock()
    seen = []

    class Slow(Failing):
        def submit(self, plan: StepPlan) -> StepHandle:
            clock.advance(3.0)
            seen.append(engine.pulse())
            return super().submit(plan)

    executor = Slow()
    engine = Engine(executor, make_scheduler(executor), clock, VOCABULARY)  # type: ignore[arg-type]
    engine.submit(request("one", 1))
    engine.step()
    [during] = seen
    assert (during.num_steps, during.running_seconds) == (0, 3.0)
    assert during.expected_seconds > 0.0
    assert engine.pulse() == (1, 0.0, 0.0)


def test_an_invariant_that_breaks_is_counted_while_serving_goes_on() -> None:
    executor = Failing()
    scheduler = make_scheduler(executor)  # type: ignore[arg-type]
    engine = Engine(executor, scheduler, ManualClock(), VOCABULARY)  # type: ignore[arg-type]
    engine.submit(request("first"))
    finish(engine)
    scheduler.pool.allocate(1)  # a block that nobody holds
    for name in ("second", "third"):
        engine.submit(request(name))
        assert finish(engine)[name][1] is FinishReason.LENGTH
    assert engine.load().broken_invariants == 2


def test_what_an_earlier_engine_accepted_is_taken_however_many_wait() -> None:
    executor = Failing()
    engine = Engine(
        executor,  # type: ignore[arg-type]
        make_scheduler(executor, max_waiting=1, max_running=1),  # type: ignore[arg-type]
        ManualClock(),
        VOCABULARY,
    )
    for i in range(4):
        engine.resume(request(f"resumed {i}"))
    with pytest.raises(Overloaded):
        engine.submit(request("new"))
    assert len(finish(engine)) == 4


def test_a_request_out_of_range_is_refused_alone_however_it_arrives() -> None:
    engine = build(Failing())
    engine.submit(request("good"))
    wrong = msgspec.structs.replace(request("wrong"), sampling=SamplingParams(temperature=math.nan))
    for accept in (engine.submit, engine.resume):
        with pytest.raises(InvalidRequest, match="temperature"):
            accept(wrong)
    assert finish(engine)["good"][1] is FinishReason.LENGTH


def test_an_id_that_is_taken_is_refused_and_its_owner_undisturbed() -> None:
    engine = build(Failing())
    engine.submit(request("one"))
    engine.cancel(RequestId("one"))
    with pytest.raises(InternalError, match="same id"):
        engine.submit(request("one"))
    assert finish(engine) == {"one": ([], FinishReason.CANCELLED)}


def test_with_a_request_under_way_an_engine_stays_awake() -> None:
    engine = build(Failing())
    engine.submit(request("first"))
    engine.step()
    engine.sleep()
    assert not engine.asleep
    assert finish(engine)["first"] == (expected_tokens((1, 2, 3), 5, 4)[1:], FinishReason.LENGTH)


def test_asleep_and_awake_again_an_engine_computes_as_before() -> None:
    engine = build(Failing())
    engine.sleep()
    assert engine.asleep
    engine.wake()
    engine.submit(request("later"))
    assert finish(engine)["later"] == (expected_tokens((1, 2, 3), 5, 4), FinishReason.LENGTH)


def test_a_step_while_asleep_is_a_defect_that_shows() -> None:
    engine = build(Failing())
    engine.sleep()
    engine.submit(request("early"))
    assert finish(engine)["early"][1] is FinishReason.ERROR


def test_a_constraint_that_nothing_enforces_is_refused() -> None:
    engine = build(Failing())
    asked = msgspec.structs.replace(request("a"), constraint=Constraint(ConstraintKind.REGEX, "a+"))
    for take in (engine.submit, engine.resume):
        with pytest.raises(UnsupportedConstraint):
            take(asked)
    assert engine.idle
