"""Anthropic's official client against a real server on a real port."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import anthropic
import pytest
from anthropic import Anthropic

from stoker.config.schema import ServerSection
from tests.support.server import MODEL, RunningServer, local_server
from tests.support.surfaces import BY_NAME, post

MESSAGES: Any = [{"role": "user", "content": "Tell me about the sea."}]


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    with local_server() as running:
        yield running


@pytest.fixture
def client(server: RunningServer) -> Iterator[Anthropic]:
    with Anthropic(base_url=server.url, api_key="unused", max_retries=0) as made:
        yield made


def ask(client: Anthropic, seed: int = 7, **changes: Any) -> anthropic.types.Message:
    fields = {"model": MODEL, "max_tokens": 20, "messages": MESSAGES, **changes}
    return client.messages.create(**fields, extra_body={"seed": seed})


def test_a_message(client: Anthropic) -> None:
    answer = ask(client, system="Be brief.", metadata={"user_id": "u"}, stop_sequences=["\u2603"])
    (block,) = answer.content
    assert (answer.type, answer.role, answer.model, block.type) == (
        "message", "assistant", MODEL, "text",
    )  # fmt: skip
    assert answer.id.startswith("msg_")
    assert answer._request_id.startswith("req_")
    assert (answer.stop_reason, answer.stop_sequence) == ("max_tokens", None)
    assert answer.usage.output_tokens == 20


def test_a_streamed_message_is_the_same_message(client: Anthropic) -> None:
    whole = ask(client)
    with client.messages.stream(
        model=MODEL, max_tokens=20, messages=MESSAGES, extra_body={"seed": 7}
    ) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    assert text == whole.content[0].text == final.content[0].text
    assert final.stop_reason == whole.stop_reason
    assert final.usage.output_tokens == whole.usage.output_tokens
    counted = client.messages.count_tokens(model=MODEL, messages=MESSAGES)
    read = final.usage.input_tokens + (final.usage.cache_read_input_tokens or 0)
    assert read == counted.input_tokens


def test_the_events_in_their_order(server: RunningServer) -> None:
    surface = BY_NAME["messages"]
    _, headers, body = post(server, surface, surface.ask(3, 7, True))
    lines = [line for line in body.decode().split("\n") if line.startswith("event: ")]
    kinds = [line.removeprefix("event: ") for line in lines]
    deltas = kinds.count("content_block_delta")
    assert kinds == [
        "message_start", "content_block_start", *["content_block_delta"] * deltas,
        "content_block_stop", "message_delta", "message_stop",
    ]  # fmt: skip
    assert headers["content-type"].startswith("text/event-stream")
    shown = re.sub(r"msg_\w+", "msg_1", body.decode())
    shown = re.sub(r'("text_delta","text":)"[^\n]*"', r'\1"..."', shown)
    head, tail = shown.split("event: content_block_delta", 1)[0], shown.rpartition('..."}}\n\n')[2]
    start = re.sub(r'"input_tokens":\d+', '"input_tokens":1', head)
    start = re.sub(r'"cache_read_input_tokens":\d+', '"cache_read_input_tokens":0', start)
    assert re.sub(r'"output_tokens":\d', '"output_tokens":1', start) == (
        'event: message_start\ndata: {"type":"message_start","message":{"id":"msg_1",'
        '"type":"message","role":"assistant","model":"tiny","content":[],"stop_reason":null,'
        '"stop_sequence":null,"usage":{"input_tokens":1,"output_tokens":1,'
        '"cache_read_input_tokens":0,"cache_creation_input_tokens":0}}}\n\n'
        'event: content_block_start\ndata: {"type":"content_block_start","index":0,'
        '"content_block":{"type":"text","text":""}}\n\n'
    )
    assert tail.startswith(
        'event: content_block_stop\ndata: {"type":"content_block_stop","index":0}\n\n'
        'event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"max_tokens",'
        '"stop_sequence":null},"usage":{"input_tokens":'
    )
    assert tail.endswith('event: message_stop\ndata: {"type":"message_stop"}\n\n')


def test_a_stop_sequence_is_named(client: Anthropic) -> None:
    text = ask(client).content[0].text
    letter = next(c for c in text[3:] if c.isascii() and c not in text[:3])
    answer = ask(client, stop_sequences=[letter])
    assert (answer.stop_reason, answer.stop_sequence) == ("stop_sequence", letter)
    assert answer.content[0].text == text[: text.index(letter)]


def test_more_than_the_context_holds_shortens_the_answer_and_says_so(client: Anthropic) -> None:
    text = "a" * 1900
    answer = ask(client, max_tokens=20_000, messages=[{"role": "user", "content": text}])
    assert answer.stop_reason == "model_context_window_exceeded"
    used = answer.usage.input_tokens + answer.usage.cache_read_input_tokens
    assert used + answer.usage.output_tokens == 2048


def test_the_model_goes_on_where_the_assistant_has_the_last_word(client: Anthropic) -> None:
    begun = [*MESSAGES, {"role": "assistant", "content": "The sea is"}]
    open_count = client.messages.count_tokens(model=MODEL, messages=begun)
    closed = [*begun, {"role": "user", "content": ""}]
    closed_count = client.messages.count_tokens(model=MODEL, messages=closed)
    assert open_count.input_tokens < closed_count.input_tokens
    assert ask(client, messages=begun).content[0].text


def test_turns_of_one_side_and_parts_are_joined(client: Anthropic) -> None:
    joined = [{"role": "user", "content": "one\ntwo\nthree"}]
    parts = [
        {"role": "user", "content": [{"type": "text", "text": "one"}]},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "two", "cache_control": {"type": "ephemeral"}},
                {"type": "text", "text": "three"},
            ],
        },
    ]
    assert ask(client, messages=parts).content == ask(client, messages=joined).content


def test_the_models(client: Anthropic) -> None:
    (model,) = client.models.list()
    assert (model.id, model.type) == (MODEL, "model")
    assert client.models.retrieve(MODEL).id == MODEL
    with pytest.raises(anthropic.NotFoundError):
        client.models.retrieve("nobody")


def test_errors_are_the_clients_own(client: Anthropic) -> None:
    with pytest.raises(anthropic.NotFoundError) as missing:
        ask(client, model="nobody")
    assert missing.value.body["error"]["type"] == "not_found_error"
    with pytest.raises(anthropic.BadRequestError, match="max_tokens") as bad:
        ask(client, max_tokens=0)
    assert bad.value.body["type"] == "error"
    assert bad.value.body["request_id"] == bad.value.request_id


def test_a_wrong_key_is_an_authentication_error() -> None:
    with (
        local_server(ServerSection(port=0, api_key="right")) as server,
        Anthropic(base_url=server.url, api_key="wrong", max_retries=0) as client,
        Anthropic(base_url=server.url, api_key="right", max_retries=0) as known,
    ):
        with pytest.raises(anthropic.AuthenticationError) as refused:
            ask(client)
        assert refused.value.body["error"]["type"] == "authentication_error"
        assert ask(known).content
