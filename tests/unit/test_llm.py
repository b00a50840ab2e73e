"""The library: a model in this process, and one in a process of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from stoker import LLM, AsyncEngine, SamplingParams
from stoker.core.output import FinishReason
from stoker.errors import ContextLengthExceeded, InvalidRequest, PullError
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


@pytest.mark.parametrize("prompt", ["", [], [-1], [10**9]])
def test_a_prompt_that_is_none_is_refused(llm: LLM, prompt: str | list[int]) -> None:
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
    assert texts == [completion.text for completion in llm.generate(prompts, GREEDY)]
    assert answer == llm.chat(QUESTION, GREEDY).text
