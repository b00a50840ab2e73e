"""`tool_choice` forces calls in the form of the model's own template, whatever is drawn."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest
from openai import OpenAI

from stoker.constrain.compiler import Compiler
from stoker.constrain.matcher import Matcher
from stoker.text.calls.format import NamedCall, TaggedArguments
from stoker.text.calls.protocol import ChatProtocol
from stoker.text.detokenizer import Detokenizer
from tests.conformance.test_chat_templates import templates
from tests.conformance.test_tool_templates import NAMES, QUESTION, TOOLS, made
from tests.support.answers import ReadAnswer, read
from tests.support.constraints import follows
from tests.support.server import MODEL, RunningServer, local_server
from tests.support.text import tiny_text

SCHEMAS = {tool["function"]["name"]: tool["function"]["parameters"] for tool in TOOLS}
UNRENDERED = {"fireworks-ai-llama-3-firefunction-v2"}
"""It wants variables that no client sends."""
COMPILERS: dict[int, Compiler] = {}
LENGTH = 900


def drawn(name: str, tools: list[Any], seed: int, most_calls: int = 3) -> ReadAnswer:
    """A wild answer over the template of that name, with a leaning to what closes things."""
    template, protocol, tokenizer = made(name, marked=True)
    messages, offered = protocol.conversation([QUESTION], TOOLS)
    prompt = template.encode(messages, tools=offered)
    reading = protocol.reading(tokenizer, prompt, TOOLS, most_calls)
    assert reading is not None
    table = tokenizer.vocabulary.table
    compiler = COMPILERS.setdefault(id(tokenizer), Compiler(table))
    matcher, random = compiler.matcher(reading.forced(tools)), Random(seed)
    spelled, ids = table.tokens(), list[int]()
    ends = list(closes(protocol, spelled))
    while len(ids) < LENGTH and not matcher.complete:
        allowed = allowed_tokens(matcher, len(spelled))
        closing = [one for one in allowed if one in table.control or spelled[one][-1:] in b'"}]>/)']
        token = random.choice(closing if closing and random.random() < 0.7 else allowed)
        if token in table.ends:
            break
        end = random.choice(ends) if ends and random.random() < 0.2 else []
        if not (end and takes(matcher.copy(), end)):
            end = [token]
        ids += end
        takes(matcher, end)
    assert not matcher.failed
    assert len(ids) < LENGTH
    detokenizer = Detokenizer(tokenizer, reading.shown)
    return read(reading, [detokenizer.push((token,)) for token in ids])


def allowed_tokens(matcher: Matcher, count: int) -> list[int]:
    bits = int.from_bytes(matcher.masks()[0], "little")
    return [token for token in range(count) if bits >> token & 1]


def takes(matcher: Matcher, ids: list[int]) -> bool:
    for token in ids:
        matcher.advance(token)
    return not matcher.failed


def closes(protocol: ChatProtocol, spelled: list[bytes]) -> Iterator[list[int]]:
    """What ends free text, in tokens: nobody would hit upon it."""
    tokens = {mark: token for token, mark in protocol.shown.items()}
    call = protocol.form.calls and protocol.form.calls.call
    arguments = call.arguments if isinstance(call, NamedCall) else None
    literals = [arguments.value_close] if isinstance(arguments, TaggedArguments) else []
    literals += [protocol.form.reasoning.close] if protocol.form.reasoning else []
    for text in ("".join(literal.words) for literal in literals):
        parts = ([tokens[c]] if c in tokens else [*map(int, c.encode())] for c in text)
        yield [
            part if text_part in tokens else spelled.index(bytes([part]))
            for text_part, found in zip(text, parts, strict=True)
            for part in found
        ]


@pytest.mark.parametrize("name", sorted(set(NAMES) - UNRENDERED))
def test_in_every_templates_form_what_is_drawn_is_calls_that_keep_to_their_schemas(
    name: str,
) -> None:
    strict = [{**tool, "function": {**tool["function"], "strict": True}} for tool in TOOLS]
    for seed, tools in enumerate((TOOLS, strict)):
        answer = drawn(name, tools, seed)
        assert 0 < len(answer.calls) <= 3
        assert not answer.content
        for called, arguments in answer.calls:
            assert follows(SCHEMAS[called], arguments), arguments


@pytest.mark.parametrize("name", ["Qwen-Qwen3-0.6B", "meta-llama-Llama-3.1-8B-Instruct"])
def test_one_tool_and_one_call_where_no_more_are_asked_for(name: str) -> None:
    for seed in range(4):
        answer = drawn(name, TOOLS[1:], seed, most_calls=1)
        assert [called for called, _ in answer.calls] == ["find-route.v2"]


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    with local_server(text=tiny_text(templates()["Qwen-Qwen3-0.6B"])) as running:
        yield running


@pytest.fixture
def client(server: RunningServer) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{server.url}/v1", api_key="unused", max_retries=0) as one:
        yield one


ROUTE = {
    "type": "function",
    "function": {
        "name": "find-route.v2",
        "description": "A way",
        "strict": True,
        "parameters": {
            "type": "object",
            "properties": {"by": {"enum": ["land", "sea"]}, "days": {"type": "integer"}},
            "required": ["by", "days"],
            "additionalProperties": False,
        },
    },
}
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"enum": ["Oslo", "Bergen"]}},
            "required": ["city"],
            "additionalProperties": False,
        },
    },
}
OFFERED = {tool["function"]["name"]: tool["function"]["parameters"] for tool in (ROUTE, WEATHER)}
ASK: dict[str, Any] = {
    "model": MODEL, "messages": [{"role": "user", "content": "Go"}], "tools": [ROUTE, WEATHER],
    "max_tokens": 1200, "temperature": 2, "seed": 5,
}  # fmt: skip
NAMED = {"type": "function", "function": {"name": "find-route.v2"}}


def ask(client: OpenAI, stream: bool, **changes: Any) -> Any:
    if not stream:
        return client.chat.completions.create(**{**ASK, **changes}).choices[0]
    with client.chat.completions.stream(**{**ASK, **changes}) as events:
        events.until_done()
        return events.get_final_completion().choices[0]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize(
    ("changes", "most"),
    [
        ({"tool_choice": "required"}, 32),
        ({"tool_choice": "required", "parallel_tool_calls": False}, 1),
        ({"tool_choice": NAMED}, 1),
    ],
    ids=["required", "one", "named"],
)
def test_a_forced_call_comes(
    client: OpenAI, stream: bool, changes: dict[str, Any], most: int
) -> None:
    choice = ask(client, stream, **changes)
    assert choice.finish_reason == "tool_calls"
    calls = choice.message.tool_calls
    assert 0 < len(calls) <= most
    assert not choice.message.content
    for call in calls:
        assert follows(OFFERED[call.function.name], call.function.arguments)
        if changes["tool_choice"] is NAMED:
            assert call.function.name == "find-route.v2"


def test_several_calls_may_come_at_once(client: OpenAI) -> None:
    counts = {
        len(ask(client, False, tool_choice="required", seed=seed).message.tool_calls)
        for seed in range(3)
    }
    assert max(counts) > 1


def test_what_is_cut_short_says_so(client: OpenAI) -> None:
    choice = ask(client, False, tool_choice="required", max_tokens=40)
    assert choice.finish_reason == "length"


def test_with_auto_nothing_is_forced(client: OpenAI) -> None:
    plain = [{**ROUTE, "function": {**ROUTE["function"], "strict": False}}]
    choice = ask(client, False, tools=plain, tool_choice="auto", max_tokens=40)
    assert not choice.message.tool_calls


def test_anthropics_and_responses_names_force_calls_too(server: RunningServer) -> None:
    def post(path: str, body: dict[str, Any]) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        headers = {"content-type": "application/json"}
        connection.request("POST", path, json.dumps({"model": MODEL, **body}), headers)
        answer = json.loads(connection.getresponse().read())
        connection.close()
        return answer

    schema = OFFERED["get_weather"]
    tool = {"name": "get_weather", "input_schema": schema}
    for choice in ({"type": "any"}, {"type": "tool", "name": "get_weather"}):
        message = post("/v1/messages", {
            "messages": ASK["messages"], "max_tokens": 1200, "tools": [tool], "tool_choice": choice,
        })  # fmt: skip
        used = [block for block in message["content"] if block["type"] == "tool_use"]
        assert used
        assert all(block["input"]["city"] in ("Oslo", "Bergen") for block in used)
    ours = {"type": "function", "name": "get_weather", "parameters": schema, "strict": True}
    for choice in ("required", {"type": "function", "name": "get_weather"}):
        response = post("/v1/responses", {
            "input": "Go", "max_output_tokens": 1200, "tools": [ours], "tool_choice": choice,
        })  # fmt: skip
        calls = [item for item in response["output"] if item["type"] == "function_call"]
        assert calls
        assert all(follows(schema, call["arguments"]) for call in calls)
