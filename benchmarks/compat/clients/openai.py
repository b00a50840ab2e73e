"""OpenAI's own client: chat, completions, responses, tools, forms, vectors, errors."""

from __future__ import annotations

import json
from typing import Any, Literal

import openai
from pydantic import BaseModel

from benchmarks.compat.clients.checks import KEY, TEXT, URL, VECTORS, check, refused, report

CLIENT = openai.OpenAI(base_url=f"{URL}/v1", api_key=KEY, max_retries=0)
MESSAGES: list[Any] = [{"role": "user", "content": "What is the weather in Paris?"}]
SHORT: dict[str, Any] = {"model": TEXT, "messages": MESSAGES, "max_tokens": 16, "seed": 1}
LONG: dict[str, Any] = {**SHORT, "max_tokens": 64}
WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city",
        "strict": True,
        "parameters": {
            "type": "object",
            "properties": {"city": {"enum": ["Paris", "Rome"]}},
            "required": ["city"],
            "additionalProperties": False,
        },
    },
}
ONE_CALL: Any = {"tools": [WEATHER], "tool_choice": "required", "parallel_tool_calls": False}


class Weather(BaseModel):
    sky: Literal["clear", "cloudy"]
    degrees: int


@check
def models() -> None:
    assert {TEXT, VECTORS} <= {model.id for model in CLIENT.models.list()}
    assert CLIENT.models.retrieve(TEXT).id == TEXT


@check
def chat() -> None:
    answer = CLIENT.chat.completions.create(**SHORT)
    assert answer.choices[0].message.content
    assert answer.usage and answer.usage.completion_tokens <= 16


@check
def chat_stream() -> None:
    whole = CLIENT.chat.completions.create(**SHORT).choices[0].message.content
    chunks = CLIENT.chat.completions.create(**SHORT, stream=True)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == whole


@check
def chat_stream_usage() -> None:
    options: Any = {"stream": True, "stream_options": {"include_usage": True}}
    *_, last = CLIENT.chat.completions.create(**SHORT, **options)
    assert last.usage.completion_tokens > 0


@check
def several_choices() -> None:
    assert len(CLIENT.chat.completions.create(**SHORT, n=3).choices) == 3


@check
def logprobs() -> None:
    answer = CLIENT.chat.completions.create(**SHORT, logprobs=True, top_logprobs=2)
    assert all(len(one.top_logprobs) == 2 for one in answer.choices[0].logprobs.content)


@check
def tools() -> None:
    answer = CLIENT.chat.completions.create(**LONG, **ONE_CALL)
    (call,) = answer.choices[0].message.tool_calls
    assert call.function.name == "get_weather"
    assert json.loads(call.function.arguments)["city"] in ("Paris", "Rome")


@check
def tools_stream() -> None:
    with CLIENT.chat.completions.stream(**LONG, **ONE_CALL) as stream:
        kinds = {event.type for event in stream}
    assert "tool_calls.function.arguments.delta" in kinds
    assert "tool_calls.function.arguments.done" in kinds


@check
def tool_result() -> None:
    call = {"name": "get_weather", "arguments": '{"city": "Paris"}'}
    messages = [
        *MESSAGES,
        {"role": "assistant", "tool_calls": [{"id": "a", "type": "function", "function": call}]},
        {"role": "tool", "tool_call_id": "a", "content": "clear, 21 degrees"},
    ]
    relaxed = {**WEATHER, "function": {**WEATHER["function"], "strict": False}}
    answer = CLIENT.chat.completions.create(**{**SHORT, "messages": messages}, tools=[relaxed])
    assert answer.choices[0].finish_reason in ("stop", "length", "tool_calls")


@check
def strict_tool_that_need_not_be_called() -> None:
    assert CLIENT.chat.completions.create(**SHORT, tools=[WEATHER], tool_choice="auto").choices


@check
def structured_output() -> None:
    answer = CLIENT.chat.completions.parse(**LONG, response_format=Weather)
    assert isinstance(answer.choices[0].message.parsed, Weather)


@check
def structured_output_stream() -> None:
    with CLIENT.chat.completions.stream(**LONG, response_format=Weather) as stream:
        final = stream.get_final_completion()
    assert isinstance(final.choices[0].message.parsed, Weather)


@check
def completions() -> None:
    answer = CLIENT.completions.create(model=TEXT, prompt=["The sea", "The sky"], max_tokens=4)
    assert len(answer.choices) == 2


@check
def responses() -> None:
    answer = CLIENT.responses.create(model=TEXT, input="Hello", max_output_tokens=16, store=False)
    assert answer.output_text


@check
def responses_stream() -> None:
    options: Any = {"model": TEXT, "input": "Hello", "max_output_tokens": 16, "store": False}
    *events, last = CLIENT.responses.create(**options, stream=True)
    text = "".join(one.delta for one in events if one.type == "response.output_text.delta")
    assert last.response.output_text == text


@check
def responses_structured() -> None:
    answer = CLIENT.responses.parse(
        model=TEXT, input="Hello", max_output_tokens=64, store=False, text_format=Weather
    )
    assert isinstance(answer.output_parsed, Weather)


@check
def embeddings() -> None:
    answer = CLIENT.embeddings.create(model=VECTORS, input=["sea", "ocean"])
    assert [len(one.embedding) for one in answer.data] == [384, 384]


@check
def error_of_a_value() -> None:
    with refused(openai.BadRequestError, "temperature"):
        CLIENT.chat.completions.create(**SHORT, temperature=9)


@check
def error_of_a_model() -> None:
    with refused(openai.NotFoundError, "nobody"):
        CLIENT.chat.completions.create(**{**SHORT, "model": "nobody"})


@check
def error_of_a_key() -> None:
    with (
        openai.OpenAI(base_url=f"{URL}/v1", api_key="wrong", max_retries=0) as stranger,
        refused(openai.AuthenticationError),
    ):
        stranger.models.list()


@check
def raw_headers() -> None:
    answer = CLIENT.chat.completions.with_raw_response.create(**SHORT)
    assert answer.headers["x-request-id"]


if __name__ == "__main__":
    report()
