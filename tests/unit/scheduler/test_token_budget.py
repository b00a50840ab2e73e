from __future__ import annotations

import math

import pytest

from stoker.core.ids import BlockId, RequestId
from stoker.core.sampling import SamplingParams
from stoker.scheduler.plan import SequenceSlice, StepPlan
from stoker.scheduler.token_budget import (
    EARLY_SLICE,
    FIRST_SLICE,
    LONGEST_STEP,
    SLOWEST_TOKEN,
    SMALLEST_SLICE,
    StepCost,
    TokenBudget,
    kv_tokens,
)


def taught(a: float, b: float, c: float) -> StepCost:
    cost = StepCost()
    for i in range(200):
        tokens, kv = 1 + (i * 37) % 500, (i * 7919) % 100_000
        cost.observe(tokens, kv, a + b * tokens + c * kv, has_prompt=True)
    return cost


@pytest.mark.parametrize(("a", "b", "c"), [(0.004, 0.0005, 1e-7), (0.001, 0.0001, 0.0)])
def test_the_cost_of_a_step_is_learned(a: float, b: float, c: float) -> None:
    found = taught(a, b, c).coefficients()
    assert found[0] == pytest.approx(a, rel=0.2)
    assert found[1] == pytest.approx(b, rel=0.05)
    assert found[2] == pytest.approx(c, rel=0.2, abs=2e-9)


def test_a_constant_cost_gives_no_negative_coefficient() -> None:
    cost = StepCost()
    for _ in range(50):
        cost.observe(1, 100, 0.01, has_prompt=False)
    assert all(value >= 0 for value in cost.coefficients())


def test_what_a_prompt_token_costs_is_remembered_through_pure_decoding() -> None:
    cost = taught(0.004, 0.0005, 1e-7)
    for i in range(2000):
        cost.observe(
            16, 16 * (500 + i), 0.004 + 0.0005 * 16 + 1e-7 * 16 * (500 + i), has_prompt=False
        )
    assert cost.coefficients()[1] == pytest.approx(0.0005, rel=0.1)


def test_an_ordinary_prompt_fills_a_step_up_to_the_target() -> None:
    budget = TokenBudget(max_step_tokens=2048, inter_token_target=0.1)
    budget.cost = taught(0.004, 0.0005, 1e-7)
    beside_ten = budget.prompt_tokens(1, 512, 10, 5_000)
    assert beside_ten == pytest.approx((0.1 - 0.004 - 0.005) / 0.0005, rel=0.1)
    assert budget.prompt_tokens(1, 512, 10, 500_000) < beside_ten
    assert budget.prompt_tokens(1, 512, 0, 0) == 2048


def test_a_long_prompt_no_more_than_doubles_a_step() -> None:
    budget = TokenBudget(max_step_tokens=2048, inter_token_target=0.1)
    budget.cost = taught(0.004, 0.0005, 1e-7)
    decoding = 0.004 + 0.0005 * 10 + 1e-7 * 5_000
    for fewer in (1, 10):
        allowed = budget.prompt_tokens(fewer, 8192, 10, 5_000)
        assert allowed == pytest.approx(decoding / 0.0005, abs=2)


def test_when_more_long_prompts_wait_than_streams_run_each_weighs_the_same() -> None:
    budget = TokenBudget(max_step_tokens=2048, inter_token_target=0.1)
    budget.cost = taught(0.004, 0.0005, 1e-7)
    decoding = 0.004 + 0.0005 * 10 + 1e-7 * 5_000
    allowed = budget.prompt_tokens(20, 8192, 10, 5_000)
    assert allowed == pytest.approx(2 * decoding / 0.0005, abs=3)
    assert budget.prompt_tokens(1000, 8192, 10, 5_000) == pytest.approx(
        (0.1 - decoding) / 0.0005, rel=0.03
    )


def test_a_prompt_never_stands_still() -> None:
    budget = TokenBudget(max_step_tokens=2048, inter_token_target=0.001)
    budget.cost = taught(0.02, 0.0005, 1e-7)
    assert budget.prompt_tokens(9, 100, 64, 10_000) == SMALLEST_SLICE


def test_before_anything_is_known_the_slice_is_modest() -> None:
    assert TokenBudget(2048, 0.1).prompt_tokens(1, 100, 1, 100) == FIRST_SLICE
    assert TokenBudget(2048, 0.1).prompt_tokens(1, 100, 0, 0) == FIRST_SLICE


def test_after_the_first_step_its_speed_decides_until_more_is_known() -> None:
    slow, fast = (TokenBudget(2048, 0.1) for _ in range(2))
    slow.cost.observe(32, 500, 32 * 0.05, has_prompt=True)
    fast.cost.observe(32, 500, 32 * 0.0001, has_prompt=True)
    assert slow.prompt_tokens(1, 100, 0, 0) == int(LONGEST_STEP / 0.05)
    assert slow.prompt_tokens(1, 100, 1, 100) == SMALLEST_SLICE
    assert fast.prompt_tokens(1, 100, 0, 0) == EARLY_SLICE


def test_on_a_slow_machine_a_step_of_prompts_alone_stays_short() -> None:
    """A step cannot be cancelled, nor joined by a new request, before it ends."""
    budget = TokenBudget(max_step_tokens=2048, inter_token_target=0.1)
    budget.cost = taught(0.01, 0.02, 1e-7)
    assert budget.prompt_tokens(1, 100, 0, 0) == pytest.approx(LONGEST_STEP / 0.02, rel=0.1)


def test_the_length_of_a_step_is_foreseen() -> None:
    budget = TokenBudget(max_step_tokens=2048, inter_token_target=0.1)
    plan = StepPlan((one_slice(start=1000, count=200),))
    assert budget.expected_seconds(plan) == pytest.approx(SLOWEST_TOKEN * 200)
    budget.cost = taught(0.004, 0.0005, 1e-7)
    known = 0.004 + 0.0005 * 200 + 1e-7 * kv_tokens(plan)
    assert budget.expected_seconds(plan) == pytest.approx(known, rel=0.1)


def one_slice(start: int, count: int) -> SequenceSlice:
    return SequenceSlice(
        request_id=RequestId("a"),
        tokens=list(range(start + count)),
        start=start,
        count=count,
        block_table=[BlockId(0)],
        num_prompt_tokens=start + count,
        sampling=SamplingParams(),
        samples=True,
        score_from=start + count,
    )


def test_kv_tokens_counts_the_context_of_every_computed_token() -> None:
    assert kv_tokens(StepPlan((one_slice(10, 4),))) == sum(range(11, 15))


def busy_budget() -> TokenBudget:
    budget = TokenBudget(max_step_tokens=2048, inter_token_target=0.1)
    budget.cost = taught(0.004, 0.0005, 1e-7)
    return budget


@pytest.mark.parametrize("seconds", [math.nan, math.inf, -math.inf, -1.0])
def test_a_time_that_is_none_teaches_nothing(seconds: float) -> None:
    budget, untouched = busy_budget(), busy_budget()
    budget.observe(StepPlan((one_slice(100, 1),)), seconds)
    assert budget.prompt_tokens(1, 512, 10, 5_000) == untouched.prompt_tokens(1, 512, 10, 5_000)


@pytest.mark.parametrize("seconds", [5.0, 3600.0, 1e300])
def test_one_step_that_slept_does_not_slow_the_next_ones(seconds: float) -> None:
    """A laptop that was closed, a container that was frozen."""
    budget = busy_budget()
    usual = budget.prompt_tokens(1, 512, 10, 5_000)
    budget.observe(StepPlan((one_slice(100, 1),)), seconds)
    assert budget.prompt_tokens(1, 512, 10, 5_000) > usual / 2
    assert budget.expected_seconds(StepPlan((one_slice(100, 1),))) < 0.02


def test_a_machine_that_became_slower_is_noticed_soon() -> None:
    budget = busy_budget()
    plan = StepPlan((one_slice(100, 64),))
    for _ in range(100):
        budget.observe(plan, 20 * 0.036)
    assert budget.expected_seconds(plan) > 10 * 0.036


def test_time_that_stands_still_gives_a_whole_step() -> None:
    budget = TokenBudget(max_step_tokens=2048, inter_token_target=0.1)
    for _ in range(20):
        budget.observe(StepPlan((one_slice(0, 10),)), 0.0)
    assert budget.prompt_tokens(1, 512, 10, 5_000) == 2048 - 10


@pytest.mark.parametrize("most", [1, 2, 9, 64])
def test_a_step_never_exceeds_what_the_executor_takes(most: int) -> None:
    budget = TokenBudget(max_step_tokens=most, inter_token_target=0.1)
    for decoding in range(most):
        assert 1 <= budget.prompt_tokens(3, 512, decoding, 5_000) <= most - decoding


def test_deep_in_a_long_prompt_slices_get_shorter_so_that_steps_do_not_get_longer() -> None:
    """Attention over 8,000 positions costs more than all the rest of a token."""
    budget = busy_budget()
    seconds = []
    for computed in (0, 2000, 4000, 7500):
        allowed = budget.prompt_tokens(1, 8000, 16, 50_000, computed)
        seconds.append(budget.expected_seconds(StepPlan((one_slice(computed, allowed),))))
    assert allowed > SMALLEST_SLICE
    assert max(seconds) < 1.1 * min(seconds)
