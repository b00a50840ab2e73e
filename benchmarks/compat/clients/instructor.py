"""instructor: objects of a class from answers, in each of its modes, streamed and retried."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import instructor
import openai
from instructor import Mode
from instructor.core import InstructorRetryException
from pydantic import BaseModel, field_validator

from benchmarks.compat.clients.checks import KEY, TEXT, URL, check, refused, report

MESSAGES: list[Any] = [{"role": "user", "content": "The weather in Paris, please."}]
ASKED: dict[str, Any] = {
    "model": TEXT,
    "messages": MESSAGES,
    "max_tokens": 256,
    "temperature": 0,
    "max_retries": 0,
}


class Weather(BaseModel):
    sky: Literal["clear", "cloudy"]
    windy: bool


def client(mode: Mode) -> Any:
    return instructor.from_openai(openai.OpenAI(base_url=f"{URL}/v1", api_key=KEY), mode=mode)


def answers(mode: Mode) -> None:
    found = client(mode).chat.completions.create(response_model=Weather, **ASKED)
    assert isinstance(found, Weather)


@check
def mode_tools() -> None:
    answers(Mode.TOOLS)


@check
def mode_tools_strict() -> None:
    answers(Mode.TOOLS_STRICT)


@check
def mode_json_schema() -> None:
    answers(Mode.JSON_SCHEMA)


@check
def mode_json() -> None:
    """The form is only in the prompt: any object may come."""
    with refused(InstructorRetryException, "validation"):
        answers(Mode.JSON)


@check
def responses() -> None:
    found = client(Mode.RESPONSES_TOOLS).responses.create(
        response_model=Weather, model=TEXT, input="The weather?", max_output_tokens=64
    )
    assert isinstance(found, Weather)


@check
def with_the_completion() -> None:
    found, completion = client(Mode.JSON_SCHEMA).chat.completions.create_with_completion(
        response_model=Weather, **ASKED
    )
    assert isinstance(found, Weather)
    assert completion.usage.completion_tokens > 0


@check
def partial() -> None:
    parts = client(Mode.JSON_SCHEMA).chat.completions.create_partial(
        response_model=Weather, **ASKED
    )
    *_, last = parts
    assert last.sky in ("clear", "cloudy")


@check
def partial_of_tools() -> None:
    *_, last = client(Mode.TOOLS).chat.completions.create_partial(response_model=Weather, **ASKED)
    assert last.sky in ("clear", "cloudy")


@check
def retries_with_what_was_wrong() -> None:
    class Picky(BaseModel):
        word: Literal["yes", "no"]
        seen: int = 0

        @field_validator("word")
        @classmethod
        def second_time(cls, word: str) -> str:
            attempts.append(word)
            if len(attempts) < 2:
                raise ValueError("not the first time")
            return word

    attempts: list[str] = []
    options = {**ASKED, "max_retries": 2}
    found = client(Mode.TOOLS).chat.completions.create(response_model=Picky, **options)
    assert found.word in ("yes", "no")
    assert len(attempts) == 2


@check
def several_objects() -> None:
    found = client(Mode.TOOLS).chat.completions.create(
        response_model=Iterable[Weather], **{**ASKED, "max_tokens": 200}
    )
    assert all(isinstance(one, Weather) for one in found)


if __name__ == "__main__":
    report()
