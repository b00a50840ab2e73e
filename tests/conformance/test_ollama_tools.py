"""What Ollama's client shows of tools and thinking besides what every client does."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import ollama
import pytest
from ollama import Client

from tests.conformance.test_anthropic_tools import CALL, THOUGHT, prompt
from tests.conformance.test_chat_templates import templates
from tests.support.scripted_backend import scripted_server
from tests.support.server import MODEL, RunningServer
from tests.support.surfaces import BY_NAME, events, post
from tests.support.text import tiny_text

QUESTION = {"role": "user", "content": "Weather?"}


def get_weather(city: str) -> str:
    """Weather of a city."""
    return f"sunny in {city}"


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    with scripted_server(tiny_text(templates()["Qwen-Qwen3-0.6B"])) as running:
        yield running


@pytest.fixture
def client(server: RunningServer) -> Iterator[Client]:
    with Client(server.url) as made:
        yield made


def test_a_function_of_python_is_a_tool(client: Client, server: RunningServer) -> None:
    server.backend.answers = [f"{THOUGHT}{CALL}"]
    answer = client.chat(MODEL, [QUESTION], tools=[get_weather])
    (call,) = answer.message.tool_calls or []
    assert get_weather(**call.function.arguments) == "sunny in Oslo"
    assert (answer.message.thinking, answer.message.content) == ("Hm.", "")
    assert '"name": "get_weather"' in prompt(server)


def test_a_call_comes_whole_in_one_line(server: RunningServer) -> None:
    pretty = json.dumps({"city": "Oslo\u2028"}, indent=1, ensure_ascii=False)
    server.backend.answers = [CALL.replace('{"city": "Oslo"}', pretty) + CALL]
    tools = [{"type": "function", "function": {"name": "get_weather"}}]
    asked = {"model": MODEL, "messages": [QUESTION], "tools": tools}
    _, _, body = post(server, BY_NAME["ollama chat"], asked)
    calls = [line["message"].get("tool_calls") for line in events(body)]
    (one,), (two,) = filter(None, calls)
    assert one["function"]["arguments"] == {"city": "Oslo\u2028"}
    assert [one["function"]["index"], two["function"]["index"]] == [0, 1]
    assert body.decode().count("\u2028") == 0


def test_results_without_ids_find_their_calls() -> None:
    """Mistral's template shows the ids of both."""
    called: Any = {"function": {"name": "f", "arguments": {"a": 10**30}}}
    other: Any = {"function": {"name": "g", "arguments": {}}}
    said = {"role": "assistant", "content": "", "tool_calls": [called, other, called]}
    results = [
        {"role": "tool", "content": "1", "tool_name": "g"},
        {"role": "tool", "content": "0"},
        {"role": "tool", "content": "2", "tool_name": "f"},
    ]
    mistral = tiny_text(templates()["mistralai-Mistral-Nemo-Instruct-2407"])
    with scripted_server(mistral) as running, Client(running.url) as client:
        running.backend.answers = ["Yes."]
        client.chat(MODEL, [QUESTION, said, *results])
        told = prompt(running)
    calls, _, rest = told.partition("[TOOL_RESULTS]")
    ids = re.findall(r'"id": "(\w{9})"', calls)
    answered = re.findall(r'"content": "?(\d)"?, "call_id": "(\w{9})"', rest)
    assert answered == [("1", ids[1]), ("0", ids[0]), ("2", ids[2])]
    assert len(set(ids)) == 3
    assert f'{{"a": {10**30}}}' in told


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_a_generated_text_has_its_thinking_beside_it(
    streamed: bool, client: Client, server: RunningServer
) -> None:
    server.backend.answers = [f"{THOUGHT}Yes."]
    answer: Any = client.generate(MODEL, "Really?", think=True, stream=streamed)
    parts = list(answer) if streamed else [answer]
    assert "".join(part.response for part in parts) == "Yes."
    assert "".join(part.thinking or "" for part in parts) == "Hm."


def test_the_template_is_told_whether_to_think(client: Client, server: RunningServer) -> None:
    server.backend.answers = ["Yes."]
    for think, quiet in ((False, True), (True, False), ("high", False), (None, False)):
        client.chat(MODEL, [QUESTION], think=think)  # type: ignore[arg-type]
        assert prompt(server).endswith("<think>\n\n</think>\n\n") is quiet


def test_what_a_model_can_is_shown(client: Client) -> None:
    assert client.show(MODEL).capabilities == ["completion", "tools", "thinking"]
    gemma = tiny_text(templates()["google-gemma-2-2b-it"])
    with scripted_server(gemma) as other, Client(other.url) as plain:
        assert plain.show(MODEL).capabilities == ["completion", "tools"]
        with pytest.raises(ollama.ResponseError, match="'think'"):
            plain.chat(MODEL, [QUESTION], think=True)
