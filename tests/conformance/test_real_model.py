"""The official client, the whole stack, a real model: nothing faked."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from anthropic import Anthropic
from huggingface_hub import InferenceClient
from ollama import Client
from openai import OpenAI

from tests.support.constraints import SCHEMA, follows
from tests.support.server import RunningServer, model_server

NAME = "smollm2:135m"
MESSAGES = [{"role": "user", "content": "What is the capital of France?"}]

pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    with model_server(NAME) as running:
        yield running


@pytest.fixture
def client(server: RunningServer) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{server.url}/v1", api_key="unused", max_retries=0) as made:
        yield made


def test_a_sensible_answer(client: OpenAI) -> None:
    prompt = "The capital of France is"
    answer = client.completions.create(model=NAME, prompt=prompt, max_tokens=2, temperature=0)
    assert answer.choices[0].text.startswith(" Paris")


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_streamed_whole_and_crowded_answers_are_the_same(
    client: OpenAI, temperature: float
) -> None:
    options = {
        "model": NAME, "messages": MESSAGES, "max_tokens": 40, "temperature": temperature, "seed": 5
    }  # fmt: skip
    whole = client.chat.completions.create(**options)
    with client.chat.completions.create(**options, stream=True) as stream:
        text = "".join(c.choices[0].delta.content or "" for c in stream if c.choices)
    crowd = client.chat.completions.create(**options, n=4)
    assert text == whole.choices[0].message.content
    assert crowd.choices[0].message.content == text


def test_log_probabilities_of_a_greedy_answer_are_the_best(client: OpenAI) -> None:
    answer = client.completions.create(
        model=NAME, prompt="The capital of France is", max_tokens=5, temperature=0, logprobs=3,
        echo=True,
    )  # fmt: skip
    lists = answer.choices[0].logprobs
    assert "".join(lists.tokens) == answer.choices[0].text
    prompt_tokens = answer.usage.prompt_tokens
    for chosen, top in zip(
        lists.token_logprobs[prompt_tokens:], lists.top_logprobs[prompt_tokens:], strict=True
    ):
        assert len(top) == 3
        assert chosen == max(top.values())


def test_a_prompt_seen_before_is_found_in_the_cache(client: OpenAI) -> None:
    long = [{"role": "user", "content": "word " * 200}]
    usages = [
        client.chat.completions.create(model=NAME, messages=long, max_tokens=1).usage
        for _ in range(2)
    ]
    assert usages[0].prompt_tokens_details.cached_tokens < 100
    assert usages[1].prompt_tokens_details.cached_tokens > 150


def test_leaving_a_stream_frees_its_blocks(client: OpenAI, server: RunningServer) -> None:
    stream = client.chat.completions.create(
        model=NAME, messages=MESSAGES, max_tokens=2000, stream=True, extra_body={"ignore_eos": True}
    )
    for _, _ in zip(range(3), stream, strict=False):
        pass
    stream.close()
    server.until(lambda: server.backend.load.used_blocks == 0)
    assert server.backend.load.broken_invariants == 0


def test_every_official_client_gets_the_same_text(server: RunningServer, client: OpenAI) -> None:
    greedy, drawn = {"temperature": 0, "num_predict": 30}, {"temperature": 0}
    chat = client.chat.completions.create(
        model=NAME, messages=MESSAGES, max_tokens=30, temperature=0
    )
    said = client.responses.create(
        model=NAME, input=MESSAGES[0]["content"], max_output_tokens=30, temperature=0
    )
    with (
        Anthropic(base_url=server.url, api_key="unused", max_retries=0) as anthropic,
        anthropic.messages.stream(
            model=NAME, messages=MESSAGES, max_tokens=30, extra_body=drawn
        ) as stream,
    ):
        message = "".join(stream.text_stream)
    with Client(server.url) as ollama:
        parts = ollama.chat(NAME, MESSAGES, options=greedy, stream=True)
        lines = "".join(part.message.content for part in parts)
    assert {said.output_text, message, lines} == {chat.choices[0].message.content}


def test_every_official_client_gets_the_same_continuation(
    server: RunningServer, client: OpenAI
) -> None:
    prompt = "The capital of France is"
    text = client.completions.create(model=NAME, prompt=prompt, max_tokens=20, temperature=0)
    with InferenceClient(server.url, provider="hf-inference", token="unused") as hub:
        pieces = list(hub.text_generation(prompt, max_new_tokens=20, stream=True))
    with Client(server.url) as ollama:
        raw = ollama.generate(NAME, prompt, raw=True, options={"temperature": 0, "num_predict": 20})
    assert {"".join(pieces), raw.response} == {text.choices[0].text}


def test_json_is_valid_however_wildly_it_is_drawn(client: OpenAI) -> None:
    form = {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA, "strict": True}}
    answer = client.chat.completions.create(
        model=NAME, messages=MESSAGES, max_tokens=300, temperature=2, seed=1, n=6,
        response_format=form,
    )  # fmt: skip
    for choice in answer.choices:
        assert choice.finish_reason == "stop"
        assert follows(SCHEMA, choice.message.content)


def test_a_model_says_what_it_knows_in_the_form_it_is_given(client: OpenAI) -> None:
    answer = client.completions.create(
        model=NAME, prompt="The capital of France is", max_tokens=9, temperature=0,
        extra_body={"guided_choice": [" London", " Paris", " Rome"]},
    )  # fmt: skip
    assert answer.choices[0].text == " Paris"
