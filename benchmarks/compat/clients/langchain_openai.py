"""langchain-openai: messages, streams, tools, structured output, vectors, errors."""

from __future__ import annotations

import asyncio
from typing import Any, Literal

import openai
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAI, OpenAIEmbeddings
from pydantic import BaseModel, SecretStr

from benchmarks.compat.clients.checks import KEY, TEXT, URL, VECTORS, check, refused, report

MESSAGES: list[Any] = [SystemMessage("Be brief."), HumanMessage("The weather in Paris?")]


def model(**changes: Any) -> ChatOpenAI:
    options = {"model": TEXT, "max_tokens": 16, "seed": 1, "max_retries": 0, **changes}
    return ChatOpenAI(base_url=f"{URL}/v1", api_key=SecretStr(KEY), **options)


class Weather(BaseModel):
    """The weather of a city."""

    sky: Literal["clear", "cloudy"]
    windy: bool


@tool
def get_weather(city: Literal["Paris", "Rome"]) -> str:
    """The weather of a city."""
    return "clear"


@check
def invoke() -> None:
    answer = model().invoke(MESSAGES)
    assert answer.content
    assert answer.usage_metadata
    assert answer.usage_metadata["output_tokens"] <= 16


@check
def stream() -> None:
    whole = model().invoke(MESSAGES).content
    chunks = list(model(stream_usage=True).stream(MESSAGES))
    assert "".join(str(chunk.content) for chunk in chunks) == whole
    assert any(chunk.usage_metadata for chunk in chunks)


@check
def batch() -> None:
    assert len(model().batch([MESSAGES, MESSAGES, MESSAGES])) == 3


@check
def asynchronous() -> None:
    assert asyncio.run(model().ainvoke(MESSAGES)).content


@check
def responses_interface() -> None:
    assert model(use_responses_api=True, seed=None).invoke(MESSAGES).text


@check
def logprobs() -> None:
    answer = model(logprobs=True, top_logprobs=2).invoke(MESSAGES)
    assert len(answer.response_metadata["logprobs"]["content"][0]["top_logprobs"]) == 2


@check
def tools() -> None:
    asking = model(max_tokens=256).bind_tools([get_weather], tool_choice="any")
    call, *_ = asking.invoke(MESSAGES).tool_calls
    assert call["name"] == "get_weather"


@check
def tools_strict() -> None:
    asking = model(max_tokens=256).bind_tools([get_weather], tool_choice="any", strict=True)
    call, *_ = asking.invoke(MESSAGES).tool_calls
    assert call["args"]["city"] in ("Paris", "Rome")


@check
def tools_stream() -> None:
    asking = model(max_tokens=256).bind_tools([get_weather], tool_choice="any")
    first, *rest = asking.stream(MESSAGES)
    for chunk in rest:
        first += chunk
    assert first.tool_calls[0]["name"] == "get_weather"


@check
def tool_result() -> None:
    call: Any = {"name": "get_weather", "args": {"city": "Paris"}, "id": "a"}
    talk = [*MESSAGES, AIMessage("", tool_calls=[call]), ToolMessage("clear", tool_call_id="a")]
    assert model().bind_tools([get_weather]).invoke(talk) is not None


@check
def structured_output_by_schema() -> None:
    asking = model(max_tokens=256).with_structured_output(Weather, method="json_schema")
    assert isinstance(asking.invoke(MESSAGES), Weather)


@check
def structured_output_by_call() -> None:
    asking = model(max_tokens=256).with_structured_output(
        Weather, method="function_calling", strict=True
    )
    assert isinstance(asking.invoke(MESSAGES), Weather)


@check
def structured_output_stream() -> None:
    asking = model(max_tokens=256).with_structured_output(Weather)
    *_, last = asking.stream(MESSAGES)
    assert isinstance(last, Weather)


@check
def count_tokens() -> None:
    """By the usage of an answer: this client counts OpenAI's own models only."""
    usage = model().invoke(MESSAGES).usage_metadata
    assert usage
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]


@check
def completion() -> None:
    asking = OpenAI(base_url=f"{URL}/v1", api_key=SecretStr(KEY), model=TEXT, max_tokens=8)
    assert asking.invoke("The sea is")


@check
def embeddings_of_texts() -> None:
    client = OpenAIEmbeddings(
        base_url=f"{URL}/v1",
        api_key=SecretStr(KEY),
        model=VECTORS,
        check_embedding_ctx_length=False,
    )
    assert [len(one) for one in client.embed_documents(["sea", "ocean"])] == [384, 384]
    assert len(client.embed_query("sea")) == 384


@check
def error_of_a_value() -> None:
    with refused(openai.BadRequestError, "temperature"):
        model(temperature=9).invoke(MESSAGES)


@check
def error_of_a_model() -> None:
    with refused(openai.NotFoundError, "nobody"):
        model(model="nobody").invoke(MESSAGES)


@check
def error_of_length() -> None:
    with refused(openai.BadRequestError, "context"):
        model().invoke("sea " * 100_000)


if __name__ == "__main__":
    report()
