"""Anthropic's own client: messages, streams, tools, forms, counting, errors."""

from __future__ import annotations

from typing import Any, Literal

import anthropic
from pydantic import BaseModel

from benchmarks.compat.clients.checks import KEY, TEXT, URL, check, refused, report

CLIENT = anthropic.Anthropic(base_url=URL, api_key=KEY, max_retries=0)
MESSAGES: list[Any] = [{"role": "user", "content": "What is the weather in Paris?"}]
SHORT: dict[str, Any] = {
    "model": TEXT,
    "messages": MESSAGES,
    "max_tokens": 16,
    "extra_body": {"seed": 1},
}
LONG: dict[str, Any] = {**SHORT, "max_tokens": 64}
WEATHER: Any = {
    "name": "get_weather",
    "description": "The weather of a city",
    "input_schema": {
        "type": "object",
        "properties": {"city": {"type": "string", "enum": ["Paris", "Rome"]}},
        "required": ["city"],
        "additionalProperties": False,
    },
}
ONE_CALL: Any = {
    "tools": [{**WEATHER, "strict": True}],
    "tool_choice": {"type": "any", "disable_parallel_tool_use": True},
}


class Weather(BaseModel):
    sky: Literal["clear", "cloudy"]
    degrees: int


@check
def models() -> None:
    assert TEXT in {model.id for model in CLIENT.models.list()}
    assert CLIENT.models.retrieve(TEXT).id == TEXT


@check
def messages() -> None:
    answer = CLIENT.messages.create(**SHORT, system="Be brief.")
    assert answer.content[0].type == "text"
    assert answer.usage.output_tokens <= 16


@check
def stream() -> None:
    whole = CLIENT.messages.create(**SHORT).content[0].text
    with CLIENT.messages.stream(**SHORT) as answer:
        text = "".join(answer.text_stream)
        final = answer.get_final_message()
    assert text == whole == final.content[0].text


@check
def stop_sequence() -> None:
    whole = CLIENT.messages.create(**SHORT).content[0].text
    stop = whole.split()[2]
    answer = CLIENT.messages.create(**SHORT, stop_sequences=[stop])
    assert (answer.stop_reason, answer.stop_sequence) == ("stop_sequence", stop)


@check
def conversation_in_blocks() -> None:
    block = {"type": "text", "text": "Hello", "cache_control": {"type": "ephemeral"}}
    conversation = [
        {"role": "user", "content": [block]},
        {"role": "assistant", "content": [{"type": "text", "text": "Hello!"}]},
        {"role": "user", "content": "Who are you?"},
    ]
    assert CLIENT.messages.create(**{**SHORT, "messages": conversation}).content


@check
def tools() -> None:
    answer = CLIENT.messages.create(**LONG, **ONE_CALL)
    (call,) = [block for block in answer.content if block.type == "tool_use"]
    assert answer.stop_reason == "tool_use"
    assert (call.name, call.input["city"] in ("Paris", "Rome")) == ("get_weather", True)


@check
def tools_stream() -> None:
    with CLIENT.messages.stream(**LONG, **ONE_CALL) as answer:
        kinds = {event.type for event in answer}
        final = answer.get_final_message()
    assert "input_json" in kinds
    assert final.content[-1].input["city"] in ("Paris", "Rome")


@check
def tool_result() -> None:
    call = {"type": "tool_use", "id": "a", "name": "get_weather", "input": {"city": "Paris"}}
    result = {"type": "tool_result", "tool_use_id": "a", "content": "clear, 21 degrees"}
    conversation = [
        *MESSAGES,
        {"role": "assistant", "content": [call]},
        {"role": "user", "content": [result]},
    ]
    answer = CLIENT.messages.create(**{**SHORT, "messages": conversation}, tools=[WEATHER])
    assert answer.content


@check
def strict_tool_that_need_not_be_called() -> None:
    assert CLIENT.messages.create(**SHORT, tools=[{**WEATHER, "strict": True}]).content


@check
def structured_output() -> None:
    answer = CLIENT.messages.parse(**LONG, output_format=Weather)
    assert isinstance(answer.parsed_output, Weather)


@check
def structured_output_stream() -> None:
    with CLIENT.messages.stream(**LONG, output_format=Weather) as answer:
        final = answer.get_final_message()
    assert isinstance(final.parsed_output, Weather)


@check
def count_tokens() -> None:
    counted = CLIENT.messages.count_tokens(model=TEXT, messages=MESSAGES)
    usage = CLIENT.messages.create(**SHORT).usage
    assert counted.input_tokens == usage.input_tokens + (usage.cache_read_input_tokens or 0)


@check
def error_of_a_value() -> None:
    with refused(anthropic.BadRequestError):
        CLIENT.messages.create(**{**SHORT, "max_tokens": 0})


@check
def error_of_a_model() -> None:
    with refused(anthropic.NotFoundError):
        CLIENT.messages.create(**{**SHORT, "model": "nobody"})


@check
def error_of_a_key() -> None:
    with (
        anthropic.Anthropic(base_url=URL, api_key="wrong", max_retries=0) as stranger,
        refused(anthropic.AuthenticationError),
    ):
        stranger.models.list()


if __name__ == "__main__":
    report()
