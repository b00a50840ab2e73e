"""Hugging Face's InferenceClient: chat, text generation, embeddings, errors."""

from __future__ import annotations

import json
from typing import Any

from huggingface_hub import InferenceClient
from huggingface_hub.errors import HfHubHTTPError

from benchmarks.compat.clients.checks import KEY, TEXT, URL, check, refused, report

CLIENT = InferenceClient(URL, token=KEY)
MESSAGES: list[Any] = [{"role": "user", "content": "What is the weather in Paris?"}]
SHORT: dict[str, Any] = {"messages": MESSAGES, "model": TEXT, "max_tokens": 16, "seed": 1}
LONG: dict[str, Any] = {**SHORT, "max_tokens": 256}
SCHEMA = {
    "type": "object",
    "properties": {"sky": {"enum": ["clear", "cloudy"]}},
    "required": ["sky"],
    "additionalProperties": False,
}
WEATHER: Any = {"type": "function", "function": {"name": "weather", "parameters": SCHEMA}}
TEXTS: dict[str, Any] = {"max_new_tokens": 16, "seed": 1, "do_sample": True}


def chat_client() -> InferenceClient:
    """Which names the model in the body, and has the address apart."""
    return InferenceClient(base_url=f"{URL}/v1", token=KEY)


def vectors_client() -> InferenceClient:
    return InferenceClient(f"{URL}/v1/embeddings", token=KEY)


@check
def chat() -> None:
    answer = chat_client().chat_completion(**SHORT)
    assert answer.choices[0].message.content
    assert answer.usage.completion_tokens <= 16


@check
def chat_in_the_form_of_openai() -> None:
    assert chat_client().chat.completions.create(**SHORT).choices[0].message.content


@check
def chat_stream() -> None:
    client = chat_client()
    whole = client.chat_completion(**SHORT).choices[0].message.content
    chunks = client.chat_completion(**SHORT, stream=True)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == whole


@check
def chat_logprobs() -> None:
    answer = chat_client().chat_completion(**SHORT, logprobs=True, top_logprobs=2)
    assert len(answer.choices[0].logprobs.content[0].top_logprobs) == 2


@check
def tools() -> None:
    answer = chat_client().chat_completion(**LONG, tools=[WEATHER], tool_choice="required")
    assert answer.choices[0].message.tool_calls[0].function.name == "weather"


@check
def structured_output() -> None:
    form = {"type": "json_schema", "json_schema": {"name": "w", "schema": SCHEMA, "strict": True}}
    answer = chat_client().chat_completion(**LONG, response_format=form)
    assert json.loads(answer.choices[0].message.content)["sky"] in ("clear", "cloudy")


@check
def text_generation() -> None:
    assert CLIENT.text_generation("The sea is", **TEXTS)


@check
def text_generation_stream() -> None:
    whole = CLIENT.text_generation("The sea is", **TEXTS)
    assert "".join(CLIENT.text_generation("The sea is", stream=True, **TEXTS)) == whole


@check
def text_generation_details() -> None:
    answer = CLIENT.text_generation("The sea is", details=True, **TEXTS)
    assert answer.details.generated_tokens == len(answer.details.tokens) == 16


@check
def text_generation_of_a_form() -> None:
    options = {**TEXTS, "max_new_tokens": 64}
    text = CLIENT.text_generation("JSON:", grammar={"type": "json", "value": SCHEMA}, **options)
    assert json.loads(text)["sky"] in ("clear", "cloudy")


@check
def error_of_a_value() -> None:
    with refused(HfHubHTTPError, "temperature"):
        chat_client().chat_completion(**SHORT, temperature=9)


@check
def error_of_a_model() -> None:
    with refused(HfHubHTTPError, "nobody"):
        chat_client().chat_completion(**{**SHORT, "model": "nobody"})


@check
def error_of_a_key() -> None:
    with refused(HfHubHTTPError, "401"):
        InferenceClient(base_url=f"{URL}/v1", token="wrong").chat_completion(**SHORT)


if __name__ == "__main__":
    report()
