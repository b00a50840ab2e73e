"""Answers of a given form, under every name a client may know for it."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.support.constraints import GBNF, LARK, SCHEMA, follows
from tests.support.server import MODEL, RunningServer, local_server
from tests.support.surfaces import BY_NAME

CHAT, TEXT, NATIVE = "/v1/chat/completions", "/v1/completions", "/completion"
REGEX = "[a-f]{2,5}-[0-9]{3}"
CHOICE = ["yes", "no", "not sure"]
FORMAT = {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA, "strict": True}}


def matches(pattern: str, text: str) -> bool:
    return re.fullmatch(pattern, text) is not None


def nested(text: str) -> bool:
    return matches(r"\(*[0-9]{1,2}\)*", text) and text.count("(") == text.count(")")


def is_object(text: str) -> bool:
    return follows({"type": "object"}, text)


FIELDS: dict[str, tuple[dict[str, Any], Any]] = {
    "response_format": ({"response_format": FORMAT}, lambda text: follows(SCHEMA, text)),
    "json_object": ({"response_format": {"type": "json_object"}}, is_object),
    "json_object and schema": (
        {"response_format": {"type": "json_object", "schema": SCHEMA}},
        lambda text: follows(SCHEMA, text),
    ),
    "json_object and value": (  # of TGI's clients
        {"response_format": {"type": "json_object", "value": SCHEMA}},
        lambda text: follows(SCHEMA, text),
    ),
    "json and value": (
        {"response_format": {"type": "json", "value": SCHEMA}}, lambda text: follows(SCHEMA, text)
    ),
    "regex and value": (
        {"response_format": {"type": "regex", "value": REGEX}}, lambda text: matches(REGEX, text)
    ),
    "guided_json": ({"guided_json": SCHEMA}, lambda text: follows(SCHEMA, text)),
    "guided_json text": (
        {"guided_json": json.dumps(SCHEMA)}, lambda text: follows(SCHEMA, text)
    ),
    "guided_regex": ({"guided_regex": REGEX}, lambda text: matches(REGEX, text)),
    "guided_choice": ({"guided_choice": CHOICE}, CHOICE.__contains__),
    "guided_grammar of lark": (
        {"guided_grammar": LARK}, lambda text: matches("x{2,4}!", text)
    ),
    "guided_grammar of GBNF": ({"guided_grammar": GBNF}, nested),
    "grammar": ({"grammar": GBNF}, nested),
    "json_schema": ({"json_schema": SCHEMA}, lambda text: follows(SCHEMA, text)),
    "structured_outputs json": (
        {"structured_outputs": {"json": SCHEMA}}, lambda text: follows(SCHEMA, text)
    ),
    "structured_outputs choice": ({"structured_outputs": {"choice": CHOICE}}, CHOICE.__contains__),
    "structured_outputs json_object": ({"structured_outputs": {"json_object": True}}, is_object),
}  # fmt: skip


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    with local_server() as running:
        yield running


def ask(server: RunningServer, path: str, **body: Any) -> Any:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    try:
        headers = {"content-type": "application/json"}
        connection.request("POST", path, json.dumps({"model": MODEL, **body}), headers)
        response = connection.getresponse()
        raw = response.read()
        assert response.status == 200, raw
        return raw if body.get("stream") else json.loads(raw)
    finally:
        connection.close()


def asked(path: str, seed: int = 1) -> dict[str, Any]:
    start = {"messages": [{"role": "user", "content": "hi"}]} if path == CHAT else {"prompt": "hi"}
    return {**start, "seed": seed, "max_tokens": 900, "temperature": 2.0}


def answer(server: RunningServer, path: str, **fields: Any) -> tuple[str, str]:
    """Text and ending."""
    [choice] = ask(server, path, **{**asked(path), **fields})["choices"]
    text = choice["message"]["content"] if path == CHAT else choice["text"]
    return text, choice["finish_reason"]


@pytest.mark.parametrize("path", [CHAT, TEXT])
@pytest.mark.parametrize("name", FIELDS)
def test_an_answer_has_the_form_asked_for(server: RunningServer, path: str, name: str) -> None:
    """Answers of any length may be cut: random tokens come to an end only now and then."""
    fields, kept = FIELDS[name]
    answers = [answer(server, path, **fields, seed=seed) for seed in range(4)]
    ended = [text for text, ending in answers if ending == "stop"]
    assert ended
    assert all(map(kept, ended)), ended


@pytest.mark.parametrize(
    ("fields", "kept"),
    [
        ({"grammar": GBNF}, nested),
        ({"json_schema": SCHEMA}, lambda text: follows(SCHEMA, text)),
        ({"json_schema": {"type": "boolean"}}, lambda text: text in ("true", "false")),
    ],
)
def test_llama_cpps_own_path_knows_its_names(
    server: RunningServer, fields: dict[str, Any], kept: Any
) -> None:
    body = ask(server, NATIVE, prompt="hi", seed=1, n_predict=900, **fields)
    assert body["stop_type"] != "limit"
    assert kept(body["content"])


def test_an_empty_schema_of_llama_cpps_is_any_json(server: RunningServer) -> None:
    body = ask(server, NATIVE, prompt="hi", seed=1, n_predict=900, json_schema={})
    plain = ask(server, NATIVE, prompt="hi", seed=1, n_predict=900)
    assert body["content"] != plain["content"]
    assert body["content"].lstrip()[0] in '{["-0123456789tfn'


SURFACES = {
    "messages": {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}},
    "responses": {"text": {"format": {"type": "json_schema", "name": "n", "schema": SCHEMA}}},
    "ollama chat": {"format": SCHEMA},
    "ollama generate": {"format": SCHEMA},
    "generate": {"parameters": {"grammar": {"type": "json", "value": SCHEMA}}},
}


@pytest.mark.parametrize("name", SURFACES)
def test_other_surfaces_know_it_by_their_names(server: RunningServer, name: str) -> None:
    case = BY_NAME[name]
    body = case.ask(900, 1, False)
    for key, value in SURFACES[name].items():
        body[key] = {**body.get(key, {}), **value} if isinstance(value, dict) else value
    assert follows(SCHEMA, case.read(ask(server, case.path, **body)))


def test_streamed_it_is_the_same(server: RunningServer) -> None:
    whole, _ = answer(server, CHAT, response_format=FORMAT)
    raw = ask(server, CHAT, **asked(CHAT), response_format=FORMAT, stream=True)
    events = [json.loads(line[6:]) for line in raw.splitlines() if line.startswith(b"data: {")]
    pieces = [event["choices"][0]["delta"].get("content") or "" for event in events]
    assert "".join(pieces) == whole
    assert sum(map(bool, pieces)) > 3


def test_a_length_or_a_stop_cuts_it_and_says_so(server: RunningServer) -> None:
    whole, _ = answer(server, CHAT, response_format=FORMAT)
    cut, ending = answer(server, CHAT, response_format=FORMAT, max_tokens=5)
    assert ending == "length"
    assert whole.startswith(cut)
    stopped, ending = answer(server, CHAT, response_format=FORMAT, stop=['"age"'])
    assert ending == "stop"
    assert stopped == whole[: whole.index('"age"')]


def test_several_answers_each_keep_to_it(server: RunningServer) -> None:
    body = ask(server, CHAT, **asked(CHAT), response_format=FORMAT, n=3)
    texts = [choice["message"]["content"] for choice in body["choices"]]
    assert all(follows(SCHEMA, text) for text in texts)
    assert len(set(texts)) == 3


def test_in_a_crowd_of_different_forms_each_is_as_alone(server: RunningServer) -> None:
    alone = {name: answer(server, TEXT, **fields) for name, (fields, _) in FIELDS.items()}
    with ThreadPoolExecutor(len(FIELDS)) as pool:
        crowd = pool.map(lambda name: answer(server, TEXT, **FIELDS[name][0]), FIELDS)
        assert dict(zip(FIELDS, crowd, strict=True)) == alone


def test_a_plain_text_format_asks_for_nothing(server: RunningServer) -> None:
    plain = answer(server, CHAT, max_tokens=20)
    assert answer(server, CHAT, max_tokens=20, response_format={"type": "text"}) == plain


def test_while_a_constraint_compiles_the_loop_serves_others(server: RunningServer) -> None:
    """The process that compiles is stopped, so that it takes for ever, and a stream goes on."""
    service = server.application.front.services[MODEL]
    ask(server, TEXT, **asked(TEXT), guided_regex="warm")
    pid = server.call(lambda: service.trial.process_id)
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(answer, server, TEXT, guided_regex="[a-c]{3}")
        for _ in range(3):
            assert answer(server, TEXT, max_tokens=20)[1] == "length"
        assert not waiting.done()
        os.kill(pid, signal.SIGCONT)
        text, _ = waiting.result(60)
    assert matches("[a-c]{3}", text)
