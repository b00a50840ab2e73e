"""The executor that other tests lean on: its mistakes would hide theirs."""

from __future__ import annotations

from typing import Any

import pytest

from stoker.core.ids import BlockId, RequestId
from stoker.core.sampling import SamplingParams
from stoker.executor.fake import FakeExecutor, FakeOptions, expected_tokens, linear_cost
from stoker.executor.interface import SliceResult
from stoker.scheduler.plan import SequenceSlice, StepPlan

PROMPT = (5, 6, 7, 8, 9)


def piece(
    start: int, tokens: tuple[int, ...], *table: int, end: int | None = None, **sampling: Any
) -> SequenceSlice:
    end = end or len(tokens)
    return SequenceSlice(
        request_id=RequestId("a"),
        tokens=tokens,
        start=start,
        count=end - start,
        block_table=[BlockId(block) for block in table],
        num_prompt_tokens=len(PROMPT),
        sampling=SamplingParams(seed=3, **sampling),
        samples=end == len(tokens),
        score_from=1,
    )


def executor(**options: int) -> FakeExecutor:
    return FakeExecutor(FakeOptions(block_size=4, **options))


def compute(fake: FakeExecutor, *pieces: SequenceSlice) -> list[SliceResult]:
    return list(fake.collect(fake.submit(StepPlan(pieces))).slices)


def test_it_draws_what_is_expected_of_it() -> None:
    fake = executor()
    tokens: tuple[int, ...] = PROMPT
    for _ in range(4):
        start = 0 if tokens == PROMPT else len(tokens) - 1
        [outcome] = compute(fake, piece(start, tokens, 0, 1, 2))
        assert len(outcome.tokens) == 1
        tokens += outcome.tokens
    assert list(tokens[5:]) == expected_tokens(PROMPT, 3, 4)


def test_tokens_depend_on_the_seed_and_on_every_token_before() -> None:
    drawn = {
        tuple(expected_tokens(prompt, seed, 3))
        for prompt in (PROMPT, (4, *PROMPT[1:]), PROMPT[:-1])
        for seed in (0, 1)
    }
    assert len(drawn) == 6


@pytest.mark.parametrize("table", [(0, 7), (1, 0)])
def test_a_block_that_holds_something_else_is_noticed(table: tuple[int, int]) -> None:
    fake = executor()
    compute(fake, piece(0, PROMPT, 0, 1))
    with pytest.raises(RuntimeError, match="other keys and values"):
        compute(fake, piece(5, (*PROMPT, 1), *table))


def test_a_block_that_another_sequence_wrote_to_is_noticed() -> None:
    fake = executor()
    compute(fake, piece(0, PROMPT, 0, 1), piece(0, (1, 2, 3), 1))
    with pytest.raises(RuntimeError, match="other keys and values"):
        compute(fake, piece(5, (*PROMPT, 1), 0, 1))


def test_a_copied_block_serves_as_the_first_one_did() -> None:
    fake = executor()
    [first] = compute(fake, piece(0, PROMPT, 0, 1))
    fake.copy_blocks([(BlockId(0), BlockId(5))])
    [again] = compute(fake, piece(4, PROMPT, 5, 6))
    assert again.tokens == first.tokens


def test_each_prompt_position_is_scored_once_however_it_is_cut() -> None:
    whole = compute(executor(), piece(0, PROMPT, 0, 1, prompt_logprobs=0))
    fake = executor()
    [begun] = compute(fake, piece(0, PROMPT, 0, 1, end=3, prompt_logprobs=0))
    [ended] = compute(fake, piece(3, PROMPT, 0, 1, prompt_logprobs=0))
    assert begun.tokens == ()
    assert [score.token_id for score in whole[0].prompt_logprobs] == list(PROMPT[1:])
    assert begun.prompt_logprobs + ended.prompt_logprobs == whole[0].prompt_logprobs


@pytest.mark.parametrize("limit", ["max_step_tokens", "max_step_sequences"])
def test_more_than_fits_into_a_step_is_refused(limit: str) -> None:
    fake = executor(**{limit: 1})
    with pytest.raises(RuntimeError, match="too much"):
        compute(fake, piece(0, PROMPT, 0, 1), piece(0, PROMPT, 2, 3))


def test_what_it_offers_is_what_it_was_told() -> None:
    memory = executor(num_blocks=7, max_step_tokens=99).load()
    assert (memory.num_blocks, memory.block_size, memory.max_step_tokens) == (7, 4, 99)


def test_a_step_takes_as_long_as_its_cost_says() -> None:
    fake = FakeExecutor(FakeOptions(), linear_cost(0.5, 0.25))
    result = fake.collect(fake.submit(StepPlan((piece(0, PROMPT, 0),))))
    assert result.seconds == pytest.approx(0.5 + 0.25 * 5)
