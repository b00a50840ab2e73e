"""Tools and reasoning through every official client, over templates of many forms: what a model
writes is told apart alike, and a conversation with results is the same prompt on every surface."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import pytest

from tests.conformance.test_chat_templates import templates
from tests.conformance.test_tool_templates import ANSWERS, QUESTION, TOOLS, written
from tests.support.scripted_backend import scripted_server
from tests.support.server import RunningServer
from tests.support.text import tiny_text
from tests.support.tool_talks import TALKS, Said, Talk

FORMS = {
    "JSON between tags, with thoughts": "Qwen-Qwen3-0.6B",
    "JSON alone": "meta-llama-Llama-3.1-8B-Instruct",
    "a list with ids": "mistralai-Mistral-Nemo-Instruct-2407",
    "arguments between tags": "GLM-4.6",
    "tags in tags": "Qwen3-Coder",
    "a name before JSON": "moonshotai-Kimi-K2",
    "the generic one": "google-gemma-2-2b-it",
}
WITH_IDS = {"mistralai-Mistral-Nemo-Instruct-2407", "moonshotai-Kimi-K2"}
"""Their prompts show the ids of calls."""
ANY_ENDING = ("completed", "stop")
"""What an answer that calls ends as, where every whole answer does."""
KINDS = ["text", "reasoned call", "call beside text", "two calls"]


@pytest.fixture(scope="module", params=FORMS.values(), ids=list(FORMS))
def served(request: pytest.FixtureRequest) -> Iterator[tuple[str, RunningServer]]:
    with scripted_server(tiny_text(templates()[request.param])) as running:
        running.backend.per_delta = 2
        yield request.param, running


def begun(surface: str, server: RunningServer, *, streamed: bool) -> Talk:
    talk = TALKS[surface](server, TOOLS, streamed)
    talk.ask(QUESTION["content"])
    return talk


def turn(talk: Talk, answer: str) -> Said:
    talk.server.backend.answers = [answer]
    return talk.turn()


def prompt(server: RunningServer) -> str:
    ids = server.call(lambda: server.backend.submitted[-1].prompt_token_ids)
    return tiny_text().tokenizer.decode(ids, skip_control=False)


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("surface", TALKS)
def test_every_client_is_told_the_same(
    surface: str, streamed: bool, served: tuple[str, RunningServer]
) -> None:
    name, server = served
    for kind in KINDS:
        answer = written(name, kind, False)
        if answer is None:
            continue
        text = answer.text.removesuffix("</s>")
        expected = _expected(kind, text)
        talk = begun(surface, server, streamed=streamed)
        said = turn(talk, text)
        assert (said.text, said.reasoning) == expected[:2], answer.text
        assert [(call.name, call.arguments) for call in said.calls] == expected[2]
        if talk.calling not in ANY_ENDING:
            assert (said.ended == talk.calling) is bool(expected[2])


def _expected(kind: str, written_text: str) -> tuple[str, str, list[Any]]:
    content, reasoning, calls = ANSWERS[kind]
    return (
        content if content in written_text else "",
        reasoning if reasoning in written_text else "",
        [call for call in calls if call[0] in written_text],
    )


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("surface", [name for name in TALKS if name != "chat"])
def test_the_next_turn_is_the_same_prompt_on_every_surface(
    surface: str, streamed: bool, served: tuple[str, RunningServer]
) -> None:
    name, server = served
    for kind in KINDS[1:]:
        answer = written(name, kind, False)
        if answer is None:
            continue
        expected = _by_chat(name, kind, server)
        told = _second(surface, server, answer.text, streamed)
        assert "sunny 0" in expected
        if name not in WITH_IDS:
            assert told == expected
        assert told.count("sunny") == expected.count("sunny")


@functools.cache
def _by_chat(name: str, kind: str, server: RunningServer) -> str:
    """What chat completions make of it."""
    answer = written(name, kind, False)
    assert answer is not None
    return _second("chat", server, answer.text, False)


def _second(surface: str, server: RunningServer, answer: str, streamed: bool) -> str:
    """The prompt of the second turn."""
    talk = begun(surface, server, streamed=streamed)
    said = turn(talk, answer)
    talk.results([(call, f"sunny {number}") for number, call in enumerate(said.calls)])
    turn(talk, "Sunny.")
    return prompt(server)
