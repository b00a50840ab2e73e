"""What OpenAI's responses show of tools and reasoning besides what every surface does."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import Any

import pytest
from openai import OpenAI

from tests.conformance.test_anthropic_tools import CALL, THOUGHT, prompt
from tests.conformance.test_chat_templates import templates
from tests.support.scripted_backend import scripted_server
from tests.support.server import MODEL, RunningServer
from tests.support.text import tiny_text

WEATHER: Any = {
    "type": "function",
    "name": "get_weather",
    "description": "Weather of a city",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    "strict": False,
}


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    with scripted_server(tiny_text(templates()["Qwen-Qwen3-0.6B"])) as running:
        yield running


@pytest.fixture
def client(server: RunningServer) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{server.url}/v1", api_key="unused", max_retries=0) as made:
        yield made


def ask(client: OpenAI, server: RunningServer, answer: str, **changes: Any) -> Any:
    server.backend.answers = [answer]
    asked: Any = {"model": MODEL, "input": "Weather?", "tools": [WEATHER], **changes}
    return client.responses.create(**asked)


def test_the_events_of_items_in_their_order(client: OpenAI, server: RunningServer) -> None:
    events = list(ask(client, server, f"{THOUGHT}Look.{CALL}", stream=True))
    assert [event.sequence_number for event in events] == list(range(len(events)))
    kinds = [kind.removeprefix("response.") for kind, _ in groupby(events, lambda e: e.type)]
    assert kinds == [
        "created", "in_progress",
        "output_item.added", "content_part.added", "reasoning_text.delta", "reasoning_text.done",
        "content_part.done", "output_item.done",
        "output_item.added", "content_part.added", "output_text.delta", "output_text.done",
        "content_part.done", "output_item.done",
        "output_item.added", "function_call_arguments.delta", "function_call_arguments.done",
        "output_item.done",
        "completed",
    ]  # fmt: skip
    done = [event.item for event in events if event.type == "response.output_item.done"]
    assert done == events[-1].response.output
    assert [item.id.partition("_")[0] for item in done] == ["rs", "msg", "fc"]
    assert done[2].call_id.startswith("call_")
    said = [event for event in events if event.type == "response.function_call_arguments.delta"]
    assert "".join(event.delta for event in said) == done[2].arguments == '{"city": "Oslo"}'


def test_the_request_is_repeated_in_the_answer(client: OpenAI, server: RunningServer) -> None:
    answer = ask(client, server, CALL * 2, tool_choice="auto", parallel_tool_calls=False)
    assert (len(answer.output), answer.parallel_tool_calls) == (1, False)
    assert (answer.tool_choice, answer.tools[0].name) == ("auto", "get_weather")
    silent = ask(client, server, CALL, tool_choice="none")
    assert (silent.output_text, silent.tool_choice) == (CALL, "none")


def test_an_answer_that_is_cut_off_says_which_item(client: OpenAI, server: RunningServer) -> None:
    tokens = len(tiny_text().tokenizer.encode(f"Look.{CALL}"[:-20]))
    answer = ask(client, server, f"Look.{CALL}", max_output_tokens=tokens)
    assert answer.status == "incomplete"
    assert [item.status for item in answer.output] == ["completed", "incomplete"]


def test_items_of_one_turn_are_one_message(client: OpenAI, server: RunningServer) -> None:
    said = ask(client, server, f"{THOUGHT}Look.{CALL}{CALL}").output
    calls = [item for item in said if item.type == "function_call"]
    results = [
        {"type": "function_call_output", "call_id": call.call_id, "output": output}
        for call, output in zip(
            calls, ["one", [{"type": "input_text", "text": "two"}]], strict=True
        )
    ]
    history = [{"role": "user", "content": "Weather?"}, *said, *results]
    ask(client, server, "Yes.", input=history)
    told = prompt(server)
    assert f"<think>\nHm.\n</think>\n\nLook.\n{CALL}\n{CALL}<|im_end|>" in told
    assert "<tool_response>\none\n</tool_response>\n<tool_response>\ntwo\n" in told


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_log_probabilities_stand_by_the_text(
    client: OpenAI, server: RunningServer, streamed: bool
) -> None:
    answer = ask(
        client, server, f"{THOUGHT}Look.", stream=streamed,
        include=["message.output_text.logprobs"],
    )  # fmt: skip
    response = list(answer)[-1].response if streamed else answer
    text = response.output[1].content[0]
    assert "".join(entry.token for entry in text.logprobs).endswith("Look.")
