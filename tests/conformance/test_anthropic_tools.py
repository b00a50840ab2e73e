"""What Anthropic's client shows of tools and thinking besides what every client does."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import anthropic
import pytest
from anthropic import Anthropic

from tests.conformance.test_chat_templates import templates
from tests.support.scripted_backend import scripted_server
from tests.support.server import MODEL, RunningServer
from tests.support.surfaces import BY_NAME, events, post
from tests.support.text import tiny_text

WEATHER: Any = {
    "name": "get_weather",
    "description": "Weather of a city",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}},
}
CALL = '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Oslo"}}\n</tool_call>'
THOUGHT = "<think>\nHm.\n</think>\n\n"
ASK: Any = {
    "model": MODEL,
    "max_tokens": 1500,
    "messages": [{"role": "user", "content": "Weather?"}],
    "tools": [WEATHER],
}


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    with scripted_server(tiny_text(templates()["Qwen-Qwen3-0.6B"])) as running:
        yield running


@pytest.fixture
def client(server: RunningServer) -> Iterator[Anthropic]:
    with Anthropic(base_url=server.url, api_key="unused", max_retries=0) as made:
        yield made


def ask(client: Anthropic, server: RunningServer, answer: str, **changes: Any) -> Any:
    server.backend.answers = [answer]
    return client.messages.create(**{**ASK, **changes})


def prompt(server: RunningServer) -> str:
    ids = server.call(lambda: server.backend.submitted[-1].prompt_token_ids)
    return tiny_text().tokenizer.decode(ids, skip_control=False)


def test_the_events_of_blocks_in_their_order(server: RunningServer) -> None:
    server.backend.answers = [f"{THOUGHT}Look.{CALL}"]
    _, _, body = post(server, BY_NAME["messages"], {**ASK, "stream": True})
    seen = [event for event in events(body) if event["type"] != "message_start"]
    kinds = [event["delta"]["type"] if "delta" in event else event["type"] for event in seen[:-2]]
    joined = " ".join(dict.fromkeys(f"{seen[i]['index']}:{kind}" for i, kind in enumerate(kinds)))
    assert joined == (
        "0:content_block_start 0:thinking_delta 0:signature_delta 0:content_block_stop "
        "1:content_block_start 1:text_delta 1:content_block_stop "
        "2:content_block_start 2:input_json_delta 2:content_block_stop"
    )
    starts = [event["content_block"] for event in seen if event["type"] == "content_block_start"]
    assert starts[:2] == [
        {"type": "thinking", "thinking": "", "signature": ""},
        {"type": "text", "text": ""},
    ]
    assert {**starts[2], "id": "1"} == {
        "type": "tool_use", "id": "1", "name": "get_weather", "input": {},
    }  # fmt: skip
    assert re.fullmatch(r"toolu_[0-9a-f]{24}", starts[2]["id"])


def test_a_thought_has_the_same_signature_in_a_stream(
    client: Anthropic, server: RunningServer
) -> None:
    whole = ask(client, server, f"{THOUGHT}Yes.")
    with client.messages.stream(**ASK) as stream:
        assert stream.get_final_message().content[0] == whole.content[0]
    assert whole.content[0].signature


@pytest.mark.parametrize(
    ("written", "shown"),
    [('{"city": "Oslo', '{"city": "Oslo'), ("[1, 2]", [1, 2]), ('"x"', "x")],
    ids=["cut off", "a list", "text"],
)
def test_arguments_that_are_no_object_stand_in_one(
    written: str, shown: Any, client: Anthropic, server: RunningServer
) -> None:
    text = f'<tool_call>\n{{"name": "get_weather", "arguments": {written}'
    tokens = len(tiny_text().tokenizer.encode(text))
    (block,) = ask(client, server, f"{text} ", max_tokens=tokens).content
    assert block.input == {"arguments": shown}


def test_parallel_calls_can_be_turned_off(client: Anthropic, server: RunningServer) -> None:
    choice = {"type": "auto", "disable_parallel_tool_use": True}
    assert len(ask(client, server, CALL * 2).content) == 2
    assert len(ask(client, server, CALL * 2, tool_choice=choice).content) == 1
    (block,) = ask(client, server, CALL, tool_choice={"type": "none"}).content
    assert block.text == CALL


@pytest.mark.parametrize(
    ("thinking", "told"),
    [
        ({"type": "disabled"}, True),
        ({"type": "enabled", "budget_tokens": 1024}, False),
        ({"type": "adaptive"}, False),
    ],
    ids=lambda value: value["type"] if isinstance(value, dict) else "",
)
def test_the_template_is_told_whether_to_think(
    thinking: Any, told: bool, client: Anthropic, server: RunningServer
) -> None:
    """Qwen's writes an empty thought where there should be none."""
    ask(client, server, "Yes.", thinking=thinking)
    assert prompt(server).endswith("<think>\n\n</think>\n\n") is told


def test_an_error_is_shown_as_one_and_parts_are_joined(
    client: Anthropic, server: RunningServer
) -> None:
    use = {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {"city": "Oslo"}}
    texts = [{"type": "text", "text": "no"}, {"type": "text", "text": "net"}]
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": texts, "is_error": True}
    beside = {"type": "text", "text": "Again?"}
    history = [
        *ASK["messages"],
        {"role": "assistant", "content": [use]},
        {"role": "user", "content": [result, beside]},
    ]
    ask(client, server, "No.", messages=history)
    told = prompt(server)
    assert "<tool_response>\nError: no\nnet\n</tool_response>" in told
    assert told.index("Error: no") < told.index("Again?")
    assert CALL in told


def test_tools_are_counted(client: Anthropic, server: RunningServer) -> None:
    ask(client, server, "Yes.")
    asked = {key: value for key, value in ASK.items() if key != "max_tokens"}
    counted = client.messages.count_tokens(**asked).input_tokens
    assert counted == len(server.call(lambda: server.backend.submitted[-1].prompt_token_ids))
    with pytest.raises(anthropic.BadRequestError, match=r"'tools\[0\].strict'"):
        client.messages.count_tokens(**{**asked, "tools": [{**WEATHER, "strict": True}]})
