"""Requests for a vector instead of tokens: one ending, in one step where that must be, in turn."""

from __future__ import annotations

import pytest

from stoker.core.abilities import Abilities
from stoker.core.ids import RequestId
from stoker.core.output import FinishReason
from stoker.core.pooling import Pooling
from stoker.core.request import Request
from stoker.core.sampling import SamplingParams
from stoker.errors import ContextLengthExceeded
from stoker.executor.fake import FakeExecutor, FakeOptions, expected_tokens
from stoker.scheduler.plan import StepPlan
from tests.support.driving import Driver, make_scheduler


class Watched(FakeExecutor):
    """Remembers the steps."""

    def __init__(self, options: FakeOptions) -> None:
        super().__init__(options)
        self.steps: list[dict[str, int]] = []

    def submit(self, plan: StepPlan):  # type: ignore[no-untyped-def]
        self.steps.append({str(piece.request_id): piece.count for piece in plan.slices})
        return super().submit(plan)


def driver(step: int = 32, **options: object) -> tuple[Driver, Watched]:
    fake = FakeOptions(
        num_blocks=64,
        block_size=4,
        max_context=200,
        max_step_tokens=step,
        abilities=Abilities(hidden_size=8, labels=2),
    )
    executor = Watched(fake)
    base: dict[str, object] = {"max_running": 8}
    return Driver(executor, make_scheduler(executor, **(base | options))), executor


def text(name: str, length: int, pooling: Pooling | None, tokens: int = 1) -> Request:
    return Request(
        request_id=RequestId(name),
        prompt_token_ids=tuple(range(1, length + 1)),
        sampling=SamplingParams(max_tokens=tokens, seed=1),
        pooling=pooling,
    )


@pytest.mark.parametrize("pooling", [Pooling.FIRST, Pooling.MEAN, Pooling.LABELS])
def test_what_needs_all_of_a_text_gets_it_in_one_step(pooling: Pooling) -> None:
    running, executor = driver()
    for name in "abc":
        running.add(text(name, 20, pooling))
    outcomes = running.run()
    assert executor.steps == [{"a": 20}, {"b": 20}, {"c": 20}]
    for outcome in outcomes.values():
        assert outcome.finish is not None
        assert outcome.finish.reason is FinishReason.STOP
        assert not outcome.tokens
    assert len({outcome.pooled for outcome in outcomes.values()}) == 1


def test_the_last_tokens_state_may_come_in_chunks_and_from_the_cache() -> None:
    running, executor = driver()
    running.add(text("a", 50, Pooling.LAST))
    running.run()
    assert executor.steps == [{"a": 32}, {"a": 18}]
    running.add(text("b", 50, Pooling.LAST))
    outcomes = running.run()
    assert executor.steps[2:] == [{"b": 2}]
    assert outcomes[RequestId("b")].cached == 48
    assert outcomes[RequestId("a")].pooled == outcomes[RequestId("b")].pooled != b""


def test_nothing_is_cached_of_a_model_that_is_not_causal() -> None:
    running, executor = driver(whole_prompts=True)
    for name in "ab":
        running.add(text(name, 32, Pooling.LAST))
        running.run()
    assert executor.steps == [{"a": 32}, {"b": 32}]
    assert running.outcomes[RequestId("b")].cached == 0


def test_streams_that_never_pause_do_not_keep_a_text_waiting() -> None:
    """Their inter-token target leaves no room for a whole prompt beside them."""
    running, executor = driver(inter_token_target=1e-9)
    for name in ("s", "t"):
        running.add(text(name, 3, None, tokens=60))
    while not all(running.outcomes[RequestId(name)].tokens for name in ("s", "t")):
        running.step()
    running.add(text("a", 24, Pooling.MEAN))
    for _ in range(4):
        running.step()
    assert running.outcomes[RequestId("a")].pooled
    assert any(step.get("a") == 24 and {"s", "t"} <= step.keys() for step in executor.steps)
    outcomes = running.run()
    assert outcomes[RequestId("s")].tokens == expected_tokens((1, 2, 3), 1, 60)


def test_what_can_never_be_one_step_is_refused() -> None:
    running, _ = driver()
    running.add(text("fits", 24, Pooling.MEAN))
    with pytest.raises(ContextLengthExceeded, match="25 prompt tokens exceed the 24 tokens"):
        running.add(text("long", 25, Pooling.MEAN))
    running.add(text("last", 200, Pooling.LAST))
    encoder, _ = driver(whole_prompts=True)
    encoder.add(text("fits", 32, Pooling.MEAN))
    with pytest.raises(ContextLengthExceeded, match="exceed the 32 tokens"):
        encoder.add(text("long", 33, Pooling.LAST))
