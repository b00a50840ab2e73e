from __future__ import annotations

import pytest

from stoker.core.ids import BlockId, RequestId
from stoker.core.sampling import SamplingParams
from stoker.scheduler.plan import SequenceSlice, StepPlan
from stoker.scheduler.token_budget import (
    FIRST_SLICE,
    SMALLEST_SLICE,
    StepCost,
    TokenBudget,
    kv_tokens,
)


def taught(a: float, b: float, c: float) -> StepCost:
    cost = StepCost()
    for i in range(200):
        tokens, kv = 1 + (i * 37) % 500, (i * 7919) % 100_000
        cost.observe(tokens, kv, a + b * tokens + c * kv)
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
        cost.observe(1, 100, 0.01)
    assert all(value >= 0 for value in cost.coefficients())


def test_the_prompt_slice_is_what_fits_the_target() -> None:
    budget = TokenBudget(max_step_tokens=2048, inter_token_target=0.1)
    budget.cost = taught(0.004, 0.0005, 1e-7)
    slice_beside_ten = budget.prompt_tokens(10, 5_000)
    assert slice_beside_ten == pytest.approx((0.1 - 0.004 - 0.005) / 0.0005, rel=0.1)
    assert budget.prompt_tokens(10, 500_000) < slice_beside_ten
    assert budget.prompt_tokens(0, 0) == 2048


def test_a_prompt_never_stands_still() -> None:
    budget = TokenBudget(max_step_tokens=2048, inter_token_target=0.001)
    budget.cost = taught(0.02, 0.0005, 1e-7)
    assert budget.prompt_tokens(64, 10_000) == SMALLEST_SLICE


def test_before_anything_is_known_the_slice_is_modest() -> None:
    assert TokenBudget(2048, 0.1).prompt_tokens(1, 100) == FIRST_SLICE


def test_kv_tokens_counts_the_context_of_every_computed_token() -> None:
    piece = SequenceSlice(
        request_id=RequestId("a"),
        tokens=list(range(14)),
        start=10,
        count=4,
        block_table=[BlockId(0)],
        num_prompt_tokens=14,
        sampling=SamplingParams(),
        samples=True,
        score_from=99,
    )
    assert kv_tokens(StepPlan((piece,))) == sum(range(11, 15))
