"""vLLM's two switches for how a prompt ends, and what a model may be called by."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.server import RunningServer, local_server
from tests.support.text import tiny_text

BEGUN = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "One, two, "}]


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    with local_server() as running:
        yield running


def post(server: RunningServer, path: str, **body: Any) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    headers = {"content-type": "application/json"}
    connection.request("POST", path, json.dumps(body), headers)
    response = connection.getresponse()
    answer = json.loads(response.read())
    connection.close()
    return response.status, answer


def prompt(server: RunningServer, **fields: Any) -> str:
    """As the engine gets it, and as /tokenize tells it."""
    asked = {"model": "tiny", "messages": BEGUN, **fields}
    assert post(server, "/v1/chat/completions", max_tokens=1, **asked)[0] == 200
    ids = server.backend.submitted[-1].prompt_token_ids
    assert post(server, "/tokenize", **asked)[1]["tokens"] == list(ids)
    return tiny_text().tokenizer.decode(ids, skip_control=False)


def test_a_begun_answer_is_gone_on_with(server: RunningServer) -> None:
    assert prompt(server, continue_final_message=True).endswith("One, two, ")
    assert prompt(server, continue_final_message=True, add_generation_prompt=False).endswith(
        "One, two, "
    )


def test_without_the_switches_a_new_answer_begins(server: RunningServer) -> None:
    usual = prompt(server)
    bare = prompt(server, add_generation_prompt=False)
    assert usual.startswith(bare)
    assert usual.removeprefix(bare).strip().endswith("assistant")
    assert prompt(server, add_generation_prompt=True) == usual
    assert prompt(server, continue_final_message=False) == usual


def test_the_case_of_a_models_name_does_not_matter(server: RunningServer) -> None:
    status, answer = post(server, "/v1/completions", model="TiNy", prompt="a", max_tokens=1)
    assert (status, answer["model"]) == (200, "tiny")


def test_an_unknown_model_is_told_which_is_served(server: RunningServer) -> None:
    status, answer = post(server, "/v1/completions", model="tin", prompt="a")
    assert status == 404
    assert "'tin'" in answer["error"]["message"]
    assert "'tiny'" in answer["error"]["message"]
