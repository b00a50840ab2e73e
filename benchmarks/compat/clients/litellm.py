"""litellm as a client, through the providers it has for servers like this one."""

from __future__ import annotations

import asyncio
import json
from typing import Any, Literal

import litellm
from pydantic import BaseModel

from benchmarks.compat.clients.checks import KEY, TEXT, URL, VECTORS, check, refused, report

MESSAGES: list[Any] = [{"role": "user", "content": "What is the weather in Paris?"}]
SHORT: dict[str, Any] = {
    "model": f"hosted_vllm/{TEXT}",
    "api_base": f"{URL}/v1",
    "api_key": KEY,
    "messages": MESSAGES,
    "max_tokens": 16,
    "seed": 1,
    "num_retries": 0,
}
LONG: dict[str, Any] = {**SHORT, "max_tokens": 256}
UNSEEDED: dict[str, Any] = {name: value for name, value in SHORT.items() if name != "seed"}
OPENAI: dict[str, Any] = {**SHORT, "model": f"openai/{TEXT}"}
WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"enum": ["Paris", "Rome"]}},
            "required": ["city"],
        },
    },
}


class Weather(BaseModel):
    sky: Literal["clear", "cloudy"]
    windy: bool


@check
def chat() -> None:
    answer = litellm.completion(**SHORT)
    assert answer.choices[0].message.content
    assert answer.usage.completion_tokens <= 16


@check
def chat_as_openai() -> None:
    assert litellm.completion(**OPENAI).choices[0].message.content


@check
def chat_stream() -> None:
    whole = litellm.completion(**SHORT).choices[0].message.content
    chunks = litellm.completion(**SHORT, stream=True)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == whole


@check
def chat_asynchronous() -> None:
    async def ask() -> Any:
        return await litellm.acompletion(**SHORT)

    assert asyncio.run(ask()).choices[0].message.content


@check
def tools() -> None:
    answer = litellm.completion(**LONG, tools=[WEATHER], tool_choice="required")
    call = answer.choices[0].message.tool_calls[0]
    assert call.function.name == "get_weather"
    assert json.loads(call.function.arguments)


@check
def tools_stream() -> None:
    chunks = list(litellm.completion(**LONG, tools=[WEATHER], tool_choice="required", stream=True))
    answer = litellm.stream_chunk_builder(chunks, messages=MESSAGES)
    assert answer.choices[0].message.tool_calls[0].function.name == "get_weather"


@check
def structured_output() -> None:
    answer = litellm.completion(**LONG, response_format=Weather)
    Weather.model_validate_json(answer.choices[0].message.content)


@check
def text_completion() -> None:
    options = {key: value for key, value in SHORT.items() if key != "messages"}
    options["model"] = f"text-completion-openai/{TEXT}"
    assert litellm.text_completion(prompt="The sea is", **options).choices[0].text


@check
def responses() -> None:
    options = {key: OPENAI[key] for key in ("model", "api_base", "api_key")}
    answer = litellm.responses(input="Hello", max_output_tokens=16, **options)
    assert answer.output


@check
def messages_of_anthropic() -> None:
    answer = litellm.completion(**{**UNSEEDED, "model": f"anthropic/{TEXT}", "api_base": URL})
    assert answer.choices[0].message.content


@check
def messages_of_anthropic_stream() -> None:
    options = {**UNSEEDED, "model": f"anthropic/{TEXT}", "api_base": URL}
    chunks = litellm.completion(**options, stream=True)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks)


@check
def chat_of_ollama() -> None:
    answer = litellm.completion(**{**SHORT, "model": f"ollama_chat/{TEXT}", "api_base": URL})
    assert answer.choices[0].message.content


@check
def embeddings() -> None:
    answer = litellm.embedding(
        model=f"hosted_vllm/{VECTORS}",
        input=["sea", "ocean"],
        api_base=f"{URL}/v1",
        api_key=KEY,
        encoding_format="float",
    )
    assert [len(one["embedding"]) for one in answer.data] == [384, 384]


@check
def error_of_a_value() -> None:
    with refused(litellm.BadRequestError, "temperature"):
        litellm.completion(**SHORT, temperature=9)


@check
def error_of_a_model() -> None:
    with refused(litellm.NotFoundError, "nobody"):
        litellm.completion(**{**SHORT, "model": "hosted_vllm/nobody"})


@check
def error_of_a_key() -> None:
    with refused(litellm.AuthenticationError):
        litellm.completion(**{**SHORT, "api_key": "wrong"})


@check
def error_of_length() -> None:
    long = [{"role": "user", "content": "sea " * 100_000}]
    with refused(litellm.ContextWindowExceededError):
        litellm.completion(**{**SHORT, "messages": long})


if __name__ == "__main__":
    report()
