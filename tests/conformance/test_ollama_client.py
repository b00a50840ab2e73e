"""Ollama's official client against a real server on a real port."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from typing import Any

import ollama
import pytest
from ollama import Client

from tests.support.server import MODEL, RunningServer, local_server
from tests.support.surfaces import BY_NAME, post

MESSAGES = [{"role": "user", "content": "Tell me about the sea."}]
OPTIONS = {
    "seed": 7, "num_predict": 20, "num_ctx": 4096, "repeat_last_n": 64, "mirostat": 0,
    "mirostat_tau": 5.0,
}  # fmt: skip


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    with local_server() as running:
        yield running


@pytest.fixture
def client(server: RunningServer) -> Iterator[Client]:
    with Client(server.url) as made:
        yield made


def test_a_chat(client: Client) -> None:
    answer = client.chat(MODEL, MESSAGES, options=OPTIONS, keep_alive="5m")
    assert (answer.model, answer.message.role, answer.done) == (MODEL, "assistant", True)
    assert (answer.done_reason, answer.eval_count) == ("length", 20)
    assert 0 < answer.prompt_eval_duration <= answer.total_duration


def test_a_streamed_chat_is_the_same(client: Client) -> None:
    whole = client.chat(MODEL, MESSAGES, options=OPTIONS)
    parts = list(client.chat(MODEL, MESSAGES, options=OPTIONS, stream=True))
    assert "".join(part.message.content for part in parts) == whole.message.content
    assert [part.done for part in parts] == [False] * (len(parts) - 1) + [True]
    assert parts[-1].eval_count == whole.eval_count


def test_generate_is_a_chat_of_one_message(client: Client) -> None:
    prompt = MESSAGES[0]["content"]
    chat = client.chat(MODEL, MESSAGES, options=OPTIONS)
    assert client.generate(MODEL, prompt, options=OPTIONS).response == chat.message.content
    told = [{"role": "system", "content": "Be brief."}, *MESSAGES]
    briefed = client.generate(MODEL, prompt, system="Be brief.", options=OPTIONS)
    assert briefed.response == client.chat(MODEL, told, options=OPTIONS).message.content
    parts = client.generate(MODEL, prompt, options=OPTIONS, stream=True)
    assert "".join(part.response for part in parts) == chat.message.content


def test_a_raw_prompt_is_taken_as_it_is(server: RunningServer, client: Client) -> None:
    text = BY_NAME["text"]
    body = {**text.ask(20, 7, False), "prompt": "the sea"}
    expected = text.read(json.loads(post(server, text, body)[2]))
    answer = client.generate(MODEL, "the sea", raw=True, options=OPTIONS)
    assert answer.response == expected


def test_a_stream_is_the_rule(server: RunningServer) -> None:
    surface = BY_NAME["ollama chat"]
    body = {key: value for key, value in surface.ask(5, 1, False).items() if key != "stream"}
    _, headers, answer = post(server, surface, body)
    lines = [json.loads(line) for line in answer.splitlines()]
    assert headers["content-type"] == "application/x-ndjson"
    assert set(lines[0]) == {"model", "created_at", "message", "done"}
    assert set(lines[-1]) == {
        "model", "created_at", "message", "done", "done_reason", "total_duration", "load_duration",
        "prompt_eval_count", "prompt_eval_duration", "eval_count", "eval_duration",
    }  # fmt: skip


def test_log_probabilities(client: Client) -> None:
    whole = client.chat(MODEL, MESSAGES, options=OPTIONS, logprobs=True, top_logprobs=1)
    assert len(whole.logprobs) == 20
    parts = client.chat(MODEL, MESSAGES, options=OPTIONS, logprobs=True, stream=True)
    streamed = [entry for part in parts for entry in part.logprobs or []]
    assert [entry.logprob for entry in streamed] == [entry.logprob for entry in whole.logprobs]


def test_no_length_is_all_that_the_context_holds(client: Client) -> None:
    answer = client.generate(MODEL, "a" * 1900, options={"num_predict": -1})
    assert answer.prompt_eval_count + answer.eval_count == 2048


def test_a_name_without_a_tag_is_the_latest(client: Client) -> None:
    assert client.chat(f"{MODEL}:latest", MESSAGES, options=OPTIONS).model == MODEL
    assert client.show(f"{MODEL}:latest").capabilities == ["completion", "tools"]


def test_the_models(client: Client) -> None:
    for listed in (client.list(), client.ps()):
        (model,) = listed.models
        assert model.model == MODEL
    about: Any = client.show(MODEL).modelinfo
    assert about[f"{about['general.architecture']}.context_length"] == 2048


def test_somebody_is_there(server: RunningServer) -> None:
    """What Ollama's command line asks first."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    connection.request("HEAD", "/")
    assert connection.getresponse().status == 200
    connection.close()


def test_errors_are_the_clients_own(client: Client) -> None:
    with pytest.raises(ollama.ResponseError, match="not served here") as missing:
        client.chat("nobody", MESSAGES)
    assert missing.value.status_code == 404
    with pytest.raises(ollama.ResponseError, match=r"'options.mirostat'"):
        list(client.chat(MODEL, MESSAGES, options={"mirostat": 2}, stream=True))
