"""How each dialect turns a question into its own, and its answers into OpenAI's."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from stoker.errors import (
    BackendFailed,
    InvalidRequest,
    Overloaded,
    UnsupportedConstraint,
)
from stoker.gateway.upstream.dialects.choice import DIALECTS
from stoker.gateway.upstream.dialects.interface import AnswerReader
from stoker.gateway.upstream.question import Question, Surface
from stoker.gateway.upstream.server_events import LONGEST_EVENT, ServerEvent, ServerEvents
from stoker.gateway.usage import Usage

HI = {"role": "user", "content": "Hi"}


def question(surface: Surface = Surface.CHAT, most: int | None = None, **body: Any) -> Question:
    body = {"model": "chat", "messages": [HI], **body}
    fields = msgspec.json.decode(json.dumps(body), type=dict[str, msgspec.Raw])
    options = body.get("stream_options") or {}
    return Question(
        surface=surface, fields=fields, stream=bool(body.get("stream")),
        wants_usage=bool(options.get("include_usage")), most_tokens=most,
    )  # fmt: skip


def sent(dialect: str, asked: Question) -> Any:
    return json.loads(DIALECTS[dialect].letter(asked, "theirs").body)


def read(reader: AnswerReader, *events: Any) -> list[Any]:
    """What the client sees, decoded."""
    shown = b"".join(reader.event(ServerEvent("", json.dumps(one).encode())) for one in events)
    return [json.loads(line[6:]) for line in shown.split(b"\n") if line]


@pytest.mark.parametrize("dialect", ["openai", "vllm", "triton", "tgi", "llamacpp"])
def test_who_speaks_openai_gets_the_body_with_another_name(dialect: str) -> None:
    body = {"tools": [{"a": 1.50}], "x": "é", "response_format": {"type": "json_object"}}
    found = sent(dialect, question(**body))
    assert found == {"model": "theirs", "messages": [HI], **body}
    assert DIALECTS[dialect].letter(question(), "theirs").path == "chat/completions"
    assert DIALECTS[dialect].headers("k")["authorization"] == "Bearer k"
    assert "authorization" not in DIALECTS[dialect].headers(None)


@pytest.mark.parametrize(
    ("dialect", "body", "name"),
    [
        ("openai", {}, "max_completion_tokens"),
        ("openai", {"max_tokens": 9}, "max_tokens"),
        ("vllm", {}, "max_tokens"),
        ("llamacpp", {"max_completion_tokens": 9}, "max_completion_tokens"),
        ("tgi", {}, "max_tokens"),
        ("anthropic", {"max_completion_tokens": 9}, "max_tokens"),
    ],
)
def test_a_grant_is_written_where_the_server_reads_it(
    dialect: str, body: dict[str, int], name: str
) -> None:
    found = sent(dialect, question(most=5, **body))
    lengths = {key: value for key, value in found.items() if key.startswith("max_")}
    assert lengths == {name: 5}


def test_tgis_reasons_become_openais() -> None:
    choice = {"index": 0, "delta": {"content": '"eos_token"'}, "finish_reason": "eos_token"}
    (shown,) = read(DIALECTS["tgi"].reader(question(stream=True)), {"choices": [choice]})
    assert shown["choices"][0] == {**choice, "finish_reason": "stop"}


@pytest.mark.parametrize("name", ["id_slot", "cache_prompt"])
def test_llamacpps_slots_are_not_a_clients_to_choose(name: str) -> None:
    with pytest.raises(InvalidRequest):
        sent("llamacpp", question(**{name: 1}))


# --- Anthropic ------------------------------------------------------------------------------


def test_instructions_go_apart_and_turns_alternate() -> None:
    messages = [
        {"role": "system", "content": "Be brief."},
        HI,
        {"role": "user", "content": [{"type": "text", "text": "there"}]},
        {"role": "assistant", "content": None, "tool_calls": [
            {"id": "t1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}},
            {"id": "t2", "type": "function", "function": {"name": "g", "arguments": ""}},
        ]},
        {"role": "tool", "tool_call_id": "t1", "content": "one"},
        {"role": "tool", "tool_call_id": "t2", "content": "two"},
        {"role": "developer", "content": "Be kind."},
    ]  # fmt: skip
    found = sent("anthropic", question(messages=messages))
    assert found["system"] == "Be brief.\n\nBe kind."
    assert [turn["role"] for turn in found["messages"]] == ["user", "assistant", "user"]
    first, calls, results = (turn["content"] for turn in found["messages"])
    assert [block["text"] for block in first] == ["Hi", "there"]
    assert [(call["type"], call["id"], call["input"]) for call in calls] == [
        ("tool_use", "t1", {"a": 1}), ("tool_use", "t2", {}),
    ]  # fmt: skip
    assert [block["tool_use_id"] for block in results] == ["t1", "t2"]
    assert results[0]["content"] == [{"type": "text", "text": "one"}]


def test_settings_have_anthropics_names() -> None:
    tool = {
        "type": "function",
        "function": {"name": "f", "description": "d", "parameters": {"x": 1}},
    }
    found = sent("anthropic", question(
        stop="END", temperature=0.3, stream=True, user="u", tools=[tool], tool_choice="required",
        parallel_tool_calls=False, n=1, logprobs=False, logit_bias={}, seed=None,
    ))  # fmt: skip
    assert found == {
        "model": "theirs", "max_tokens": 4096, "stream": True, "temperature": 0.3,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}],
        "stop_sequences": ["END"], "metadata": {"user_id": "u"},
        "tools": [{"name": "f", "description": "d", "input_schema": {"x": 1}}],
        "tool_choice": {"type": "any", "disable_parallel_tool_use": True},
    }  # fmt: skip
    headers = DIALECTS["anthropic"].headers("k")
    assert headers["x-api-key"] == "k"
    assert "authorization" not in headers


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"seed": 1}, "seed"),
        ({"n": 2}, "n"),
        ({"logprobs": True}, "logprobs"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"presence_penalty": 0.5}, "presence_penalty"),
        ({"mcp_servers": ["x"]}, "mcp_servers"),
        ({"tool_choice": "odd"}, "tool_choice"),
        ({"messages": [{"role": "user", "content": [{"type": "input_audio"}]}]}, "messages"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "messages"),
    ],
)
def test_what_has_no_counterpart_is_refused_by_name(body: dict[str, Any], param: str) -> None:
    with pytest.raises(UnsupportedConstraint) as caught:
        sent("anthropic", question(**body))
    assert caught.value.param == param


def test_texts_cannot_be_continued_there() -> None:
    with pytest.raises(UnsupportedConstraint):
        sent("anthropic", question(Surface.COMPLETIONS))


def test_a_picture_is_taken_as_data() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}
    found = sent("anthropic", question(messages=[{"role": "user", "content": [image]}]))
    assert found["messages"][0]["content"][0]["source"] == {
        "type": "base64", "media_type": "image/png", "data": "aGk=",
    }  # fmt: skip


START = {"type": "message_start", "message": {
    "id": "m", "model": "theirs", "usage": {
        "input_tokens": 10, "cache_read_input_tokens": 5, "cache_creation_input_tokens": 2,
        "output_tokens": 1}}}  # fmt: skip
TEXT = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hi"}}
END = {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 9}}
STOP = {"type": "message_stop"}


def test_a_stream_becomes_openais_with_its_tools_and_usage() -> None:
    tool = {"type": "content_block_start", "index": 1,
            "content_block": {"type": "tool_use", "id": "t", "name": "f", "input": {}}}  # fmt: skip
    part = {"type": "content_block_delta", "index": 1,
            "delta": {"type": "input_json_delta", "partial_json": '{"a"'}}  # fmt: skip
    asked = question(stream=True, stream_options={"include_usage": True})
    reader = DIALECTS["anthropic"].reader(asked)
    ping, new = {"type": "ping"}, {"type": "something_new", "delta": 3}
    chunks = read(reader, START, ping, TEXT, new, tool, part, END, STOP)
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks[:-1]]
    assert deltas[:2] == [{"role": "assistant", "content": ""}, {"content": "Hi"}]
    assert deltas[2]["tool_calls"][0]["function"] == {"name": "f", "arguments": ""}
    assert deltas[3]["tool_calls"] == [{"index": 0, "function": {"arguments": '{"a"'}}]
    assert chunks[-2]["choices"][0]["finish_reason"] == "tool_calls"
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"]["prompt_tokens"] == 17
    assert {chunk["id"] for chunk in chunks} == {"m"}
    assert reader.usage == Usage(input_tokens=17, cached_tokens=5, output_tokens=9)
    assert reader.complete


def test_a_stream_without_its_last_event_is_not_whole() -> None:
    reader = DIALECTS["anthropic"].reader(question(stream=True))
    assert len(read(reader, START, TEXT, END)) == 3
    assert not reader.complete


def test_an_error_in_a_stream_is_ours() -> None:
    reader = DIALECTS["anthropic"].reader(question(stream=True))
    with pytest.raises(Overloaded):
        read(reader, {"type": "error", "error": {"type": "overloaded_error", "message": "x"}})
    with pytest.raises(BackendFailed):
        read(reader, {"type": "error", "error": {"type": "api_error", "message": "x"}})


def test_a_whole_answer_becomes_openais() -> None:
    reader = DIALECTS["anthropic"].reader(question())
    body = {"type": "message", "id": "m", "model": "theirs", "stop_reason": "max_tokens",
            "usage": {"input_tokens": 3, "output_tokens": 4},
            "content": [{"type": "text", "text": "a"}, {"type": "thinking", "thinking": "?"},
                        {"type": "text", "text": "b"},
                        {"type": "tool_use", "id": "t", "name": "f", "input": {"x": 1}}],
            }  # fmt: skip
    answer = json.loads(reader.whole(json.dumps(body).encode()))
    (choice,) = answer["choices"]
    assert (choice["message"]["content"], choice["finish_reason"]) == ("ab", "length")
    assert choice["message"]["tool_calls"][0]["function"]["arguments"] == '{"x":1}'
    assert answer["usage"]["total_tokens"] == 7


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b"\xff", b"[" * 5000, b'{"choices":3}'])
def test_what_is_no_answer_is_the_backends_failure(dialect: str, body: bytes) -> None:
    with pytest.raises(BackendFailed):
        DIALECTS[dialect].reader(question()).whole(body)


# --- events ---------------------------------------------------------------------------------


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("size", [1, 2, 3, 1000])
def test_events_are_found_however_they_are_cut(end: bytes, size: int) -> None:
    lines = [
        b": hello",
        b"event: a",
        b"data: 1",
        b"data:2",
        b"",
        b"id: x",
        b"",
        b"data: 3",
        b"",
        b"",
    ]
    raw = end.join([*lines, b":", b""])
    reader = ServerEvents()
    pieces = [raw[place : place + size] for place in range(0, len(raw), size)]
    found = [event for piece in pieces for event in reader.feed(piece)]
    assert found == [ServerEvent("a", b"1\n2"), ServerEvent("", b"3")]


def test_an_event_without_end_is_not_kept() -> None:
    reader = ServerEvents()
    with pytest.raises(ValueError, match="too long"):
        for _ in range(2 * LONGEST_EVENT // 4096):
            list(reader.feed(b"data: " + b"x" * 4090))
    reader = ServerEvents()
    for _ in range(100):
        list(reader.feed(b"data: " + b"x" * (LONGEST_EVENT // 10) + b"\n\n"))
