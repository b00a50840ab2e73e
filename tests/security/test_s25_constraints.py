"""Hostile schemas, expressions and grammars: refused with a reason or enforced, while a stream
beside them stays what it is (S25, S26, B4)."""

from __future__ import annotations

import http.client
import json
import random
from collections.abc import Iterator

import jsonschema
import pytest

from stoker.constrain.compiler import Compiler
from stoker.constrain.trial import Trial
from stoker.core.constraint import Constraint, ConstraintKind
from stoker.errors import UnsupportedConstraint
from tests.security.hostile_constraints import hostile
from tests.support.constraints import tiny_table
from tests.support.healthy_stream import HealthyStream
from tests.support.server import MODEL, RunningServer, local_server

HOSTILE = dict(hostile())
LENGTH = 200
FIELDS = {
    ConstraintKind.JSON_SCHEMA: "guided_json",
    ConstraintKind.REGEX: "guided_regex",
    ConstraintKind.GBNF: "grammar",
    ConstraintKind.LARK: "guided_grammar",
}


def test_there_are_many_and_each_has_a_name() -> None:
    assert len(HOSTILE) == len(list(hostile())) >= 300


async def test_each_is_refused_with_a_reason_or_enforced() -> None:
    trial, compiler = Trial(tiny_table()), Compiler(tiny_table())
    enforced, wrong = 0, list[tuple[str, str]]()
    for name, constraint in HOSTILE.items():
        try:
            await trial.check(constraint, "field")
        except UnsupportedConstraint as error:
            assert len(error.message) < 500, name
            continue
        enforced += 1
        text = drawn(compiler, constraint)
        if text is None or constraint.kind is not ConstraintKind.JSON_SCHEMA:
            continue
        if not valid(json.loads(constraint.text), text):
            wrong.append((name, text))
    await trial.close()
    assert not wrong
    assert 50 < enforced < len(HOSTILE) - 100


def drawn(compiler: Compiler, constraint: Constraint) -> str | None:
    """A wild answer, if it came to an end."""
    table = tiny_table()
    matcher, choose = compiler.matcher(constraint), random.Random(0)
    spelled, text = table.tokens(), b""
    for _ in range(LENGTH):
        bits = int.from_bytes(matcher.masks()[0], "little")
        allowed = [token for token in range(len(spelled)) if bits >> token & 1]
        assert allowed or matcher.failed
        if not allowed:
            return None
        closing = [one for one in allowed if one in table.ends or spelled[one][-1:] in b'"}]']
        token = choose.choice(closing if closing and choose.random() < 0.7 else allowed)
        if token in table.ends:
            return text.decode()
        text += spelled[token]
        matcher.advance(token)
        if matcher.complete:
            return text.decode()
    return None


def valid(schema: object, text: str) -> bool:
    kind = jsonschema.Draft202012Validator
    try:
        kind.check_schema(schema)  # type: ignore[arg-type]
    except (jsonschema.exceptions.SchemaError, RecursionError):
        return True  # what it means is not for this validator to say
    return bool(kind(schema).is_valid(json.loads(text)))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    with local_server() as running:
        yield running


def test_a_stream_beside_them_stays_what_it_is(server: RunningServer) -> None:
    statuses = set()
    chosen = list(HOSTILE.items())[::12]
    with HealthyStream(server) as neighbour:
        for name, constraint in chosen:
            status, body = ask(server, constraint)
            assert status in (200, 400), (name, body)
            if status == 400:
                assert json.loads(body)["error"]["param"], name
            statuses.add(status)
    assert statuses == {200, 400}
    assert not neighbour.problems


def ask(server: RunningServer, constraint: Constraint) -> tuple[int, bytes]:
    field = FIELDS[constraint.kind]
    body = {"model": MODEL, "prompt": "hi", "max_tokens": 5, field: constraint.text}
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    headers = {"content-type": "application/json"}
    connection.request("POST", "/v1/completions", json.dumps(body), headers)
    response = connection.getresponse()
    answer = response.status, response.read()
    connection.close()
    return answer
