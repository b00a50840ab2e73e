"""Hugging Face's official client against the surface of text-generation-inference."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from typing import Any

import pytest
from huggingface_hub import InferenceClient
from huggingface_hub.errors import GenerationError, ValidationError

from stoker.core.output import Finish, FinishReason
from tests.support.server import MODEL, RunningServer, local_server
from tests.support.surfaces import BY_NAME, events, post

PROMPT = "the sea"
OPTIONS: dict[str, Any] = {"max_new_tokens": 20, "seed": 7, "do_sample": True}


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    with local_server() as running:
        yield running


@pytest.fixture
def client(server: RunningServer) -> Iterator[InferenceClient]:
    with InferenceClient(server.url, provider="hf-inference", token="unused") as made:
        yield made


def test_a_text_is_that_of_a_completion(server: RunningServer, client: InferenceClient) -> None:
    text = BY_NAME["text"]
    body = {**text.ask(20, 7, False), "prompt": PROMPT}
    expected = text.read(json.loads(post(server, text, body)[2]))
    assert client.text_generation(PROMPT, **OPTIONS) == expected
    full = client.text_generation(PROMPT, return_full_text=True, **OPTIONS)
    assert full == PROMPT + expected


def test_a_stream_is_the_same_text(client: InferenceClient) -> None:
    whole = client.text_generation(PROMPT, details=True, **OPTIONS)
    assert "".join(client.text_generation(PROMPT, stream=True, **OPTIONS)) == whole.generated_text
    parts = list(client.text_generation(PROMPT, stream=True, details=True, **OPTIONS))
    assert [part.index for part in parts] == list(range(1, 21))
    assert [part.token.id for part in parts] == [token.id for token in whole.details.tokens]
    assert [part.token.text for part in parts] == [token.text for token in whole.details.tokens]
    assert parts[-1].generated_text == whole.generated_text
    last = parts[-1].details
    assert (last.finish_reason, last.generated_tokens, last.seed) == ("length", 20, 7)
    assert last.input_length > 0


def test_details(client: InferenceClient) -> None:
    answer = client.text_generation(
        PROMPT, details=True, decoder_input_details=True, top_n_tokens=1, **OPTIONS
    )
    details = answer.details
    assert (details.finish_reason, details.generated_tokens) == ("length", 20)
    assert "".join(token.text for token in details.tokens) == answer.generated_text
    assert "".join(token.text for token in details.prefill) == PROMPT
    assert [token.logprob is None for token in details.prefill][:2] == [True, False]
    assert len(details.top_tokens) == 20


def test_a_stop_is_told_and_cut_to_the_letter(client: InferenceClient) -> None:
    text = client.text_generation(PROMPT, **OPTIONS)
    letter = next(c for c in text[2:] if c.isascii() and c not in text[:2])
    wanted = {"stop": [letter], "details": True, **OPTIONS}
    parts = list(client.text_generation(PROMPT, stream=True, **wanted))
    assert "".join(part.token.text for part in parts) == text[: text.index(letter)]
    assert parts[-1].details.finish_reason == "stop_sequence"
    whole = client.text_generation(PROMPT, **wanted)
    assert whole.generated_text == text[: text.index(letter)]


def test_an_answer_of_no_text_has_an_end(server: RunningServer) -> None:
    everything = tuple(range(200))
    with local_server(eos=everything) as ending:
        surface = BY_NAME["generate"]
        seen = events(post(ending, surface, surface.ask(20, 7, True))[2])
    last = seen[-1]
    assert last["generated_text"] == "".join(event["token"]["text"] for event in seen)
    assert last["details"]["finish_reason"] == "eos_token"


def test_without_sampling_nothing_is_drawn(server: RunningServer, client: InferenceClient) -> None:
    client.text_generation(PROMPT, max_new_tokens=2)
    client.text_generation(PROMPT, max_new_tokens=2, temperature=0.5)
    likeliest, drawn = (request.sampling for request in server.backend.submitted[-2:])
    assert (likeliest.temperature, drawn.temperature) == (0.0, 0.5)


def test_what_is_served(client: InferenceClient, server: RunningServer) -> None:
    info = client.get_endpoint_info()
    assert (info["model_id"], info["max_total_tokens"]) == (MODEL, 2048)
    assert client.health_check()
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    connection.request("GET", "/info")
    assert connection.getresponse().status == 200
    connection.close()


def test_a_conversation_over_openais_surface(client: InferenceClient) -> None:
    messages = [{"role": "user", "content": "Hi"}]
    answer = client.chat_completion(messages, model=MODEL, max_tokens=5, seed=1)
    parts = client.chat_completion(messages, model=MODEL, max_tokens=5, seed=1, stream=True)
    text = "".join(part.choices[0].delta.content or "" for part in parts)
    assert text == answer.choices[0].message.content


def test_errors_are_the_clients_own(server: RunningServer, client: InferenceClient) -> None:
    with pytest.raises(ValidationError, match=r"'parameters.truncate'"):
        client.text_generation(PROMPT, truncate=3)
    with pytest.raises(ValidationError, match="context"):
        client.text_generation("a" * 3000)
    server.call(server.backend.hold)
    server.call(lambda: server.backend.let_step(3))
    stream = iter(client.text_generation(PROMPT, stream=True, **OPTIONS))
    next(stream)
    finish = Finish(FinishReason.ERROR, error_code="replica_lost")
    server.call(lambda: server.backend.fail(finish))
    server.call(server.backend.release)
    with pytest.raises(GenerationError, match="was lost"):
        list(stream)
