"""The library: a model in this process, and one in a process of its own."""

from __future__ import annotations

import asyncio
import itertools
import math
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from stoker import LLM, AsyncEngine, Constraint, ConstraintKind, SamplingParams
from stoker.core.output import FinishReason
from stoker.errors import (
    ContextLengthExceeded,
    InvalidRequest,
    NoCapacity,
    PullError,
    UnsupportedConstraint,
)
from tests.support.constraints import CASES, Case
from tests.support.models import model_path

pytestmark = pytest.mark.model
GREEDY = SamplingParams(max_tokens=8, temperature=0.0)
QUESTION = [{"role": "user", "content": "Say hello."}]


@pytest.fixture(scope="module")
def llm() -> Iterator[LLM]:
    with LLM(str(model_path("smollm2:135m"))) as built:
        yield built


def test_a_prompt_is_completed(llm: LLM) -> None:
    [completion] = llm.generate("The capital of France is", GREEDY)
    assert completion.text.startswith(" Paris")
    assert completion.finish_reason is FinishReason.LENGTH
    assert len(completion.token_ids) == 8


def test_results_are_in_the_order_of_the_prompts(llm: LLM) -> None:
    prompts = [f"Count: {i}, " for i in range(300)]  # more than a server lets wait
    params = SamplingParams(max_tokens=1, temperature=0.0)
    together = llm.generate(prompts, params)
    assert len(together) == 300
    for i in (0, 150, 299):
        assert together[i].token_ids == llm.generate(prompts[i], params)[0].token_ids


def test_token_ids_are_a_prompt_too(llm: LLM) -> None:
    ids = llm.text.tokenizer.encode("The capital of France is")
    assert (
        llm.generate(ids, GREEDY)[0].text
        == llm.generate("The capital of France is", GREEDY)[0].text
    )


def test_a_stream_is_the_same_text(llm: LLM) -> None:
    assert "".join(llm.stream("Once upon a time", GREEDY)) == (
        llm.generate("Once upon a time", GREEDY)[0].text
    )
    assert "".join(llm.stream_chat(QUESTION, GREEDY)) == llm.chat(QUESTION, GREEDY).text


def test_a_stream_left_early_leaves_nothing_running(llm: LLM) -> None:
    stream = llm.stream("Once", SamplingParams(max_tokens=500, ignore_eos=True))
    next(stream)
    stream.close()
    assert llm.generate("The capital of France is", GREEDY)[0].text.startswith(" Paris")


def test_several_streams_and_a_list_at_once_each_get_their_own(llm: LLM) -> None:
    prompts = ["The capital of France is", "Once upon a time", "def main():"]
    alone = [completion.text for completion in llm.generate(prompts, GREEDY)]
    streams = [llm.stream(prompt, GREEDY) for prompt in prompts]
    texts = [next(stream) for stream in streams]
    assert [completion.text for completion in llm.generate(prompts, GREEDY)] == alone
    for turn in itertools.cycle(range(3)):
        piece = next(streams[turn], None)
        texts[turn] += piece or ""
        if piece is None and texts == alone:
            break
    assert [list(stream) for stream in streams] == [[], [], []]


def test_a_stream_that_is_dropped_is_cancelled(llm: LLM) -> None:
    stream = llm.stream("Once", SamplingParams(max_tokens=8000, ignore_eos=True))
    other = llm.stream("def main():", SamplingParams(max_tokens=4, ignore_eos=True))
    next(stream)
    next(other)
    del stream
    assert len(list(other)) <= 3
    assert llm._engine is not None
    assert llm._engine.idle


def test_after_closing_every_use_is_one_clear_error() -> None:
    closed = LLM(str(model_path("smollm2:135m")))
    begun = closed.stream("Once upon a time", GREEDY)
    next(begun)
    closed.close()
    closed.close()
    for use in (
        lambda: closed.generate("a", GREEDY),
        lambda: closed.chat(QUESTION, GREEDY),
        lambda: next(closed.stream("a", GREEDY)),
        lambda: next(begun),
    ):
        with pytest.raises(NoCapacity, match="closed"):
            use()


WRONG = [
    SamplingParams(temperature=math.nan),
    SamplingParams(seed=2**70),
    SamplingParams(top_k=2**40),
    SamplingParams(repetition_penalty=1e-300),
    SamplingParams(logit_bias={10**9: 1.0}),
    SamplingParams(stop=[""]),  # type: ignore[arg-type]
]


@pytest.mark.parametrize("wrong", WRONG)
def test_parameters_out_of_range_are_refused_and_harm_nobody(
    llm: LLM, wrong: SamplingParams
) -> None:
    stream = llm.stream("The capital of France is", GREEDY)
    text = next(stream)
    for use in (
        lambda: llm.generate(["a", "b"], wrong),
        lambda: llm.chat(QUESTION, wrong),
        lambda: llm.stream("a", wrong),
    ):
        with pytest.raises(InvalidRequest):
            use()
    assert (text + "".join(stream)).startswith(" Paris")


def test_a_stop_string_ends_the_text_before_it(llm: LLM) -> None:
    [whole] = llm.generate("The capital of France is", GREEDY)
    stop = whole.text[8:12]
    sampling = msgspec.structs.replace(GREEDY, stop=("never", stop))
    [cut] = llm.generate("The capital of France is", sampling)
    assert cut.text == whole.text[: whole.text.index(stop)]
    assert cut.finish_reason is FinishReason.STOP
    assert cut.token_ids == whole.token_ids[: len(cut.token_ids)]
    assert len(cut.token_ids) < len(whole.token_ids)
    assert "".join(llm.stream("The capital of France is", sampling)) == cut.text
    answer = llm.chat(QUESTION, GREEDY).text
    assert llm.chat(QUESTION, msgspec.structs.replace(GREEDY, stop=answer[2:4])).text == answer[:2]


@pytest.mark.parametrize("prompt", ["", [], [-1], [10**9], [1.5]])
def test_a_prompt_that_is_none_is_refused(llm: LLM, prompt: Any) -> None:
    with pytest.raises(InvalidRequest):
        llm.generate([prompt], GREEDY)


def test_one_prompt_that_cannot_fit_refuses_the_list_and_leaves_nothing_running(llm: LLM) -> None:
    with pytest.raises(ContextLengthExceeded):
        llm.generate(["short", "short", [5] * 9000], GREEDY)
    assert llm.generate("The capital of France is", GREEDY)[0].text.startswith(" Paris")


def test_an_unknown_model_is_named() -> None:
    with pytest.raises(PullError, match="smollm9"):
        LLM("smollm9")


async def test_the_asyncio_engine_gives_the_same(llm: LLM) -> None:
    async with AsyncEngine(str(model_path("smollm2:135m"))) as engine:

        async def text(prompt: str) -> str:
            return "".join([delta.text async for delta in engine.generate(prompt, GREEDY)])

        prompts = ["The capital of France is", "Once upon a time", "def main():"]
        texts = await asyncio.gather(*map(text, prompts))
        answer = "".join([delta.text async for delta in engine.chat(QUESTION, GREEDY)])
        stop = msgspec.structs.replace(GREEDY, stop=answer[2:4])
        cut = [delta async for delta in engine.chat(QUESTION, stop)]
        for wrong in WRONG:
            with pytest.raises(InvalidRequest):
                await anext(engine.generate("a", wrong))
        assert engine.client.num_restarts == 0
    assert texts == [completion.text for completion in llm.generate(prompts, GREEDY)]
    assert answer == llm.chat(QUESTION, GREEDY).text
    assert "".join(delta.text for delta in cut) == answer[:2]
    assert cut[-1].finish_reason is FinishReason.STOP


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_completions_keep_to_a_constraint_even_when_drawn_wildly(llm: LLM, case: Case) -> None:
    wild = SamplingParams(max_tokens=300, temperature=2.0, seed=3)
    completions = llm.generate(["Now:", "Then:", "Later:"], wild, case.constraint)
    for completion in completions:
        assert completion.finish_reason is FinishReason.STOP
        assert case.kept(completion.text), completion.text
    streamed = "".join(llm.stream("Now:", wild, case.constraint))
    assert streamed == completions[0].text


def test_a_constraint_that_cannot_be_enforced_is_refused_at_once(llm: LLM) -> None:
    wrong = Constraint(ConstraintKind.REGEX, "(")
    with pytest.raises(UnsupportedConstraint):
        llm.generate("a", GREEDY, wrong)
    with pytest.raises(UnsupportedConstraint):
        llm.stream("a", GREEDY, wrong)
