"""The official client's responses, which are not stored."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openai import OpenAI

from stoker.core.output import Finish, FinishReason
from tests.support.server import MODEL, RunningServer, local_server

INPUT = "Tell me about the sea."


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    with local_server() as running:
        yield running


@pytest.fixture
def client(server: RunningServer) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{server.url}/v1", api_key="unused", max_retries=0) as made:
        yield made


def ask(client: OpenAI, **changes: Any) -> Any:
    fields = {"model": MODEL, "input": INPUT, "max_output_tokens": 20, **changes}
    return client.responses.create(**fields, extra_body={"seed": 7})


def test_a_response(client: OpenAI) -> None:
    answer = ask(client, instructions="Be brief.", metadata={"a": "b"}, store=False, user="u")
    assert answer.id.startswith("resp_")
    assert (answer.status, answer.incomplete_details.reason) == ("incomplete", "max_output_tokens")
    assert (answer.instructions, answer.metadata) == ("Be brief.", {"a": "b"})
    assert answer.usage.output_tokens == 20
    assert answer.output_text == answer.output[0].content[0].text


def test_a_streamed_response_is_the_same_response(client: OpenAI) -> None:
    whole = ask(client)
    events = list(ask(client, stream=True))
    assert [event.sequence_number for event in events] == list(range(len(events)))
    last = events[-1]
    assert last.type == "response.incomplete"
    assert last.response.output_text == whole.output_text
    deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert "".join(deltas) == whole.output_text
    assert last.response.usage.output_tokens == whole.usage.output_tokens
    kinds = [event.type for event in events if event.type != "response.output_text.delta"]
    assert kinds == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.incomplete",
    ]


def test_an_answer_that_came_to_its_end_is_completed() -> None:
    everything = tuple(range(5, 200))
    with (
        local_server(eos=everything) as server,
        OpenAI(base_url=f"{server.url}/v1", api_key="unused", max_retries=0) as client,
        client.responses.stream(model=MODEL, input=INPUT) as stream,
    ):
        kinds = [event.type for event in stream]
        assert kinds[-1] == "response.completed"
        assert stream.get_final_response().status == "completed"


def test_messages_give_what_a_conversation_gives(client: OpenAI) -> None:
    chat = client.chat.completions.create(
        model=MODEL,
        max_tokens=20,
        seed=7,
        messages=[
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "one"},
            {"role": "assistant", "content": "two"},
            {"role": "user", "content": "three\nfour"},
        ],
    )
    before = ask(client, input="one").output[0].to_dict()
    items = [
        {"role": "user", "content": "one"},
        {**before, "content": [{"type": "output_text", "text": "two", "annotations": []}]},
        {
            "role": "user",
            "content": [
                {"type": "input_text", "text": "three"},
                {"type": "input_text", "text": "four"},
            ],
        },
    ]
    answer = ask(client, instructions="Be brief.", input=items)
    assert answer.output_text == chat.choices[0].message.content
    said = [{"role": "developer", "content": "brief."}, *items]
    assert (
        ask(client, instructions="Be", input=said).usage.input_tokens == answer.usage.input_tokens
    )


def test_log_probabilities(client: OpenAI) -> None:
    options = {"include": ["message.output_text.logprobs"], "top_logprobs": 2}
    whole = ask(client, **options).output[0].content[0].logprobs
    assert len(whole) == 20
    assert all(entry.logprob <= 0 for entry in whole)
    events = list(ask(client, stream=True, **options))
    streamed = [entry for e in events if e.type.endswith("text.delta") for entry in e.logprobs]
    assert [entry.logprob for entry in streamed] == [entry.logprob for entry in whole]


def test_a_failure_raises_in_the_client(server: RunningServer, client: OpenAI) -> None:
    server.call(server.backend.hold)
    server.call(lambda: server.backend.let_step(3))
    stream = iter(ask(client, stream=True))
    assert next(stream).type == "response.created"
    finish = Finish(FinishReason.ERROR, error_code="replica_lost")
    server.call(lambda: server.backend.fail(finish))
    server.call(server.backend.release)
    with pytest.raises(openai.APIError, match="was lost"):
        list(stream)


def test_what_needs_a_store_is_refused_by_name(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        ask(client, previous_response_id="resp_1")
    assert caught.value.param == "previous_response_id"
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve("resp_1")
