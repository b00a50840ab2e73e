"""Figures worked out by hand."""

from __future__ import annotations

import pytest

from stoker.bench.timing import Timing, quantile, quantiles, summarise
from stoker.bench.workload import Workload


@pytest.mark.parametrize(
    ("share", "value"), [(0.5, 2.0), (0.75, 3.0), (0.9, 4.0), (0.99, 4.0), (0.0, 1.0), (1.0, 4.0)]
)
def test_nearest_rank(share: float, value: float) -> None:
    assert quantile([1.0, 2.0, 3.0, 4.0], share) == value


def test_quantiles_of_nothing_are_zero() -> None:
    assert quantiles([]).p99 == 0.0


def test_summary() -> None:
    done = Timing(10.0, [10.5, 10.7, 11.0], 11.0, prompt_tokens=5, output_tokens=3)
    late = Timing(11.0, [13.0], 14.0, prompt_tokens=5, output_tokens=1)
    lost = Timing(10.0, [10.1], None, "status 500")
    found = summarise([done, late, lost], concurrency=2)
    assert (found.completed, found.failed, found.errors) == (2, 1, ("status 500",))
    assert found.seconds == 4.0
    assert found.output_tokens_per_second == 1.0
    assert found.total_tokens_per_second == 3.5
    assert found.requests_per_second == 0.5
    assert found.first_token_ms.p50 == 500.0
    assert found.first_token_ms.max == 2000.0
    assert found.inter_token_ms.p50 == 200.0
    assert found.inter_token_ms.p99 == 300.0
    assert found.request_ms.max == 3000.0


def test_nothing_done_is_not_a_division_by_zero() -> None:
    found = summarise([Timing(0.0, error="x")], 1)
    assert (found.completed, found.failed, found.output_tokens_per_second) == (0, 1, 0.0)


def test_prompts_differ_within_a_run_and_repeat_between_runs() -> None:
    workload = Workload(num_requests=20, input_tokens=12)
    prompts = list(workload.prompts())
    assert len(set(prompts)) == 20
    assert prompts == list(workload.prompts())
    assert prompts != list(Workload(num_requests=20, input_tokens=12, seed=1).prompts())
    assert {len(prompt.split()) for prompt in prompts} == {12}


def test_shared_tokens_stand_at_the_front() -> None:
    prompts = [p.split() for p in Workload(5, input_tokens=10, shared_tokens=8).prompts()]
    assert len({tuple(words[:8]) for words in prompts}) == 1
    assert {len(words) for words in prompts} == {10}
