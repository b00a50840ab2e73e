"""What a request can count on from the scheduler: its endings, its limits, its turn."""

from __future__ import annotations

import msgspec
import pytest

from stoker.core.ids import RequestId
from stoker.core.output import FinishReason
from stoker.core.request import Request
from stoker.core.sampling import SamplingParams
from stoker.errors import ContextLengthExceeded, Overloaded
from stoker.executor.fake import FakeExecutor, FakeOptions, expected_tokens
from stoker.executor.interface import SliceResult, StepResult
from stoker.scheduler.plan import StepPlan
from stoker.scheduler.sequence import NEVER
from stoker.scheduler.token_budget import MIN_OBSERVATIONS
from tests.support.driving import Driver, make_scheduler


def request(name: str = "a", prompt: int = 5, tenant: str = "", **sampling: object) -> Request:
    defaults: dict[str, object] = {"max_tokens": 6, "seed": 1}
    return Request(
        request_id=RequestId(name),
        prompt_token_ids=tuple(range(1, prompt + 1)),
        sampling=SamplingParams(**(defaults | sampling)),  # type: ignore[arg-type]
        tenant=tenant,
    )


def driver(blocks: int = 64, block_size: int = 4, **options: object) -> Driver:
    executor = FakeExecutor(FakeOptions(num_blocks=blocks, block_size=block_size, max_context=200))
    return Driver(executor, make_scheduler(executor, **options))


def test_length_ends_a_sequence() -> None:
    running = driver()
    running.add(request())
    [outcome] = running.run().values()
    assert outcome.tokens == expected_tokens((1, 2, 3, 4, 5), 1, 6)
    assert outcome.finish is not None
    assert outcome.finish.reason is FinishReason.LENGTH


@pytest.mark.parametrize("how", ["eos", "stop id"])
def test_a_stop_token_ends_a_sequence_and_is_not_part_of_it(how: str) -> None:
    tokens = expected_tokens((1, 2, 3, 4, 5), 1, 6)
    stop = tokens[3]
    running = driver(eos_token_ids=frozenset([stop] if how == "eos" else []))
    running.add(request(stop_token_ids=() if how == "eos" else (stop,)))
    [outcome] = running.run().values()
    assert outcome.tokens == tokens[:3]
    assert outcome.finish is not None
    assert (outcome.finish.reason, outcome.finish.stop_token_id) == (FinishReason.STOP, stop)


def test_ignore_eos_goes_on() -> None:
    tokens = expected_tokens((1, 2, 3, 4, 5), 1, 6)
    running = driver(eos_token_ids=frozenset([tokens[0]]))
    running.add(request(ignore_eos=True))
    [outcome] = running.run().values()
    assert outcome.tokens == tokens


def test_min_tokens_keeps_the_end_from_being_drawn() -> None:
    running = driver(eos_token_ids=frozenset([7]))
    running.add(request(min_tokens=3, stop_token_ids=(9,), logit_bias={5: 1.0}))
    biases = []
    while not running.scheduler.idle:
        plan = running.scheduler.plan(running.now)
        assert plan is not None
        biases.append(plan.slices[0].sampling.logit_bias)
        result = running.executor.collect(running.executor.submit(plan))
        running.scheduler.apply(plan, result)
    assert biases[:3] == [{5: 1.0, 7: NEVER, 9: NEVER}] * 3
    assert biases[3:] == [{5: 1.0}] * 3


def test_a_deadline_ends_waiting_and_running_alike() -> None:
    running = driver(max_running=1)
    for name in ("running", "waiting"):
        made = request(name, max_tokens=100)
        running.add(msgspec.structs.replace(made, timeout=5.0))
    running.step()
    running.now = 4.9
    running.step()
    assert all(outcome.finish is None for outcome in running.outcomes.values())
    running.now = 5.0
    running.step()
    for outcome in running.outcomes.values():
        assert outcome.finish is not None
        assert outcome.finish.reason is FinishReason.DEADLINE
    assert running.scheduler.idle


@pytest.mark.parametrize("steps", [0, 1, 3])
def test_cancel_ends_a_request_wherever_it_is_and_returns_its_blocks(steps: int) -> None:
    running = driver(max_step_tokens=16)
    running.add(request("a", prompt=40, max_tokens=50))
    running.add(request("witness", max_tokens=50))
    for _ in range(steps):
        running.step()
    running.scheduler.cancel(RequestId("a"))
    running.step()
    outcome = running.outcomes[RequestId("a")]
    assert outcome.finish is not None
    assert outcome.finish.reason is FinishReason.CANCELLED
    running.run()
    assert running.scheduler.pool.num_used == 0


def test_cancelled_twice_and_late_is_still_one_ending() -> None:
    running = driver()
    running.add(msgspec.structs.replace(request("a", max_tokens=50), timeout=5.0))
    running.step()
    running.scheduler.cancel(RequestId("a"))
    running.scheduler.cancel(RequestId("a"))
    [delta] = running.scheduler.sweep(9.0)
    assert delta.finish is not None
    assert delta.finish.reason is FinishReason.CANCELLED
    assert running.scheduler.sweep(10.0) == []


def test_who_was_preempted_goes_before_who_never_ran_whatever_their_priority() -> None:
    running = driver(blocks=6, block_size=4, max_running=2)
    running.add(request("old", prompt=4, max_tokens=20))
    running.add(request("young", prompt=6, max_tokens=18))
    while not running.scheduler.counters.preemptions:
        running.step()
    running.add(msgspec.structs.replace(request("urgent", prompt=4), priority=-1))
    while "young" not in [s.request.request_id for s in running.scheduler.running]:
        assert not running.outcomes[RequestId("urgent")].tokens
        running.step()


def test_a_request_that_can_never_fit_is_refused_at_the_door() -> None:
    running = driver(blocks=3, block_size=4)
    running.add(request(prompt=6, max_tokens=6))
    with pytest.raises(ContextLengthExceeded, match="12 tokens"):
        running.add(request(prompt=7, max_tokens=6))


def test_too_many_waiting_is_overload() -> None:
    running = driver(max_waiting=1, max_running=1)
    running.add(request("a"))
    running.add(request("b"))
    with pytest.raises(Overloaded) as caught:
        running.add(request("c"))
    assert caught.value.retry_after is not None


def test_a_row_that_is_not_finite_ends_alone_and_is_not_cached() -> None:
    running = driver()
    running.add(request("poisoned", prompt=12))
    running.add(request("healthy"))
    plan = running.scheduler.plan(running.now)
    assert plan is not None
    result = running.executor.collect(running.executor.submit(plan))
    poisoned = SliceResult(error_code="numerical_error")
    deltas = running.scheduler.apply(plan, StepResult((poisoned, result.slices[1]), result.seconds))
    assert deltas[0].finish is not None
    assert deltas[0].finish.error_code == "numerical_error"
    assert deltas[1].finish is None
    running.outcomes[RequestId("healthy")].take(deltas[1])
    del running.outcomes[RequestId("poisoned")]
    running.run()
    running.add(request("again", prompt=12))
    assert running.run()[RequestId("again")].cached == 4  # what "healthy" left: its first block


def test_a_cached_prompt_is_reported_and_its_last_token_still_computed() -> None:
    running = driver()
    running.add(request("first", prompt=12))
    first = running.run()[RequestId("first")]
    running.add(request("second", prompt=12))
    second = running.run()[RequestId("second")]
    assert (first.cached, second.cached) == (0, 8)
    assert second.tokens == first.tokens


def test_a_prefix_that_gave_a_bad_row_is_computed_anew() -> None:
    """Its keys and values may be what went wrong: a bad prefix must not outlive its request."""
    running = driver(max_step_tokens=20)
    running.add(request("first", prompt=40))
    running.run()
    running.add(request("bad", prompt=40, max_tokens=30))
    running.step()
    assert running.outcomes[RequestId("bad")].cached > 0
    plan = running.scheduler.plan(running.now)
    assert plan is not None
    error = StepResult((SliceResult(error_code="numerical_error"),), 0.01)
    running.scheduler.apply(plan, error)
    running.scheduler.check()
    running.add(request("again", prompt=40))
    del running.outcomes[RequestId("bad")]
    again = running.run()[RequestId("again")]
    assert again.cached == 0
    assert again.tokens == running.outcomes[RequestId("first")].tokens


def test_what_a_preempted_request_computed_itself_is_not_reported_as_cached() -> None:
    running = driver(blocks=15, block_size=4, inter_token_target=0.0001)
    running.add(request("old", prompt=8, max_tokens=12, tenant="another"))
    while len(running.outcomes[RequestId("old")].tokens) < 7:
        running.step()
    running.add(request("young", prompt=44, max_tokens=1))
    outcome = running.run()[RequestId("young")]
    assert running.scheduler.counters.preemptions == 1
    assert len(outcome.tokens) == 1
    assert outcome.cached == 0


@pytest.mark.parametrize("most", [1, 2, 9, 12])
def test_a_step_stays_within_what_the_executor_takes(most: int) -> None:
    running = driver(max_step_tokens=most, max_running=8)
    for index in range(8):
        running.add(request(f"r{index}", prompt=10, max_tokens=4))
    while not running.scheduler.idle:
        for _ in range(3):
            plan = running.scheduler.plan(running.now)
            assert plan is None or plan.num_tokens <= most
        running.step()
    assert all(len(outcome.tokens) == 4 for outcome in running.outcomes.values())


def test_another_tenant_never_hits() -> None:
    """S18, I11."""
    running = driver()
    running.add(request("mine", prompt=12, tenant="a"))
    running.run()
    running.add(request("yours", prompt=12, tenant="b"))
    assert running.run()[RequestId("yours")].cached == 0


def test_a_scored_prompt_is_computed_in_full_and_scored_once() -> None:
    running = driver(max_step_tokens=16)
    running.add(request("first", prompt=40))
    running.run()
    running.add(request("scored", prompt=40, prompt_logprobs=0))
    outcome = running.run()[RequestId("scored")]
    assert outcome.cached == 0
    assert [lp.token_id for lp in outcome.prompt_logprobs] == list(range(2, 41))


def test_running_streams_get_a_token_in_every_step_while_a_long_prompt_arrives() -> None:
    running = driver(inter_token_target=0.003, max_step_tokens=2000)
    running.add(request("stream", max_tokens=60))
    for _ in range(10):
        running.step()
    running.add(request("long", prompt=150, max_tokens=1))
    steps = 0
    while running.outcomes[RequestId("long")].finish is None:
        before = len(running.outcomes[RequestId("stream")].tokens)
        running.step()
        steps += 1
        assert len(running.outcomes[RequestId("stream")].tokens) == before + 1
    assert steps > 3, "the prompt was not cut"


def test_with_nothing_decoding_a_prompt_takes_the_whole_step() -> None:
    running = driver(inter_token_target=0.0001, max_step_tokens=2000)
    running.add(request("first", max_tokens=MIN_OBSERVATIONS))
    running.run()  # steps are known to be quick now
    running.add(request("long", prompt=150, tenant="another"))
    plan = running.scheduler.plan(running.now)
    assert plan is not None
    assert plan.num_tokens == 150


def planned(plan: StepPlan | None) -> list[str]:
    assert plan is not None
    return [piece.request_id for piece in plan.slices]


def test_priority_goes_first_within_a_tenant() -> None:
    running = driver(max_running=1)
    running.add(msgspec.structs.replace(request("later"), priority=5))
    running.add(msgspec.structs.replace(request("first"), priority=1))
    assert planned(running.scheduler.plan(running.now)) == ["first"]


def test_the_first_delta_says_how_long_the_request_waited() -> None:
    running = driver(max_running=1)
    running.add(request("first", max_tokens=3))
    running.now = 2.0
    running.add(request("second", max_tokens=3))
    waited: dict[RequestId, list[float]] = {}
    while not running.scheduler.idle:
        running.now += 1.0
        for delta in running.step():
            waited.setdefault(delta.request_id, []).append(delta.queued_seconds)
    assert waited == {"first": [3.0, 0.0, 0.0], "second": [4.0, 0.0, 0.0]}
