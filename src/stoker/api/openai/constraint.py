"""Many fields of several interfaces, one constraint."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from stoker.api.openai.fields import SamplingFields
from stoker.api.openai.response_format import ResponseFormat, StructuredOutputs
from stoker.core.constraint import Constraint, ConstraintKind
from stoker.errors import InvalidRequest

ANY_OBJECT = Constraint(ConstraintKind.JSON_SCHEMA, '{"type":"object"}')
_GBNF_MARK = "::="
"""Every rule of llama.cpp's grammars has one; Lark's have none."""


class Wanted(msgspec.Struct, frozen=True):
    constraint: Constraint
    param: str
    """The field that asked for it."""


def wanted_constraint(request: SamplingFields) -> Wanted | None:
    """Raises InvalidRequest where fields contradict each other or hold what is no constraint."""
    found = [
        *_formatted(request.response_format),
        *_guided(request),
        *_structured(request.structured_outputs),
    ]
    if len(found) > 1:
        raise InvalidRequest(
            f"'{found[0].param}' and '{found[1].param}' cannot both say what the answer looks like",
            param=found[1].param,
        )
    return found[0] if found else None


def _formatted(asked: ResponseFormat | None) -> Iterator[Wanted]:
    place = "response_format"
    if asked is None or asked.type == "text":
        return
    if asked.type == "regex":
        yield _text(ConstraintKind.REGEX, asked.value, f"{place}.value")
        return
    found = [_schema(schema, param) for param, schema in _schemas(asked, place)]
    if not found and asked.type != "json_object":
        param = f"{place}.value" if asked.type == "json" else f"{place}.json_schema"
        raise InvalidRequest(f"'{param}' must be a JSON schema", param=param)
    yield from found or [Wanted(ANY_OBJECT, place)]


def _schemas(asked: ResponseFormat, place: str) -> Iterator[tuple[str, Any]]:
    """Wherever there is one."""
    if asked.json_schema is not None and asked.type == "json_schema":
        yield f"{place}.json_schema.schema", asked.json_schema.schema
    for name in ("schema", "value"):
        if (schema := getattr(asked, name)) is not None:
            yield f"{place}.{name}", schema


def _guided(request: SamplingFields) -> Iterator[Wanted]:
    for name in ("guided_json", "json_schema"):
        if (schema := getattr(request, name)) is not None:
            yield _schema(schema, name)
    if request.guided_regex is not None:
        yield _text(ConstraintKind.REGEX, request.guided_regex, "guided_regex")
    if request.guided_choice is not None:
        yield _choice(request.guided_choice, "guided_choice")
    for name in ("guided_grammar", "grammar"):
        if (grammar := getattr(request, name)) is not None:
            yield _grammar(grammar, name)


def _structured(asked: StructuredOutputs | None) -> Iterator[Wanted]:
    place = "structured_outputs"
    if asked is None:
        return
    members = list(_members(asked, place))
    if len(members) != 1:
        raise InvalidRequest(
            f"'{place}' must hold one of json, regex, choice, grammar and json_object", param=place
        )
    yield from members


def _members(asked: StructuredOutputs, place: str) -> Iterator[Wanted]:
    if asked.json is not None:
        yield _schema(asked.json, f"{place}.json")
    if asked.regex is not None:
        yield _text(ConstraintKind.REGEX, asked.regex, f"{place}.regex")
    if asked.choice is not None:
        yield _choice(asked.choice, f"{place}.choice")
    if asked.grammar is not None:
        yield _grammar(asked.grammar, f"{place}.grammar")
    if asked.json_object:
        yield Wanted(ANY_OBJECT, f"{place}.json_object")


def _schema(schema: Any, param: str) -> Wanted:
    """An object, or the text of one."""
    if not isinstance(schema, str | dict | bool):
        raise InvalidRequest(f"'{param}' must be a JSON schema", param=param)
    try:
        text = schema if isinstance(schema, str) else msgspec.json.encode(schema).decode()
    except (OverflowError, UnicodeEncodeError, msgspec.EncodeError, RecursionError):
        raise InvalidRequest(f"'{param}' holds what JSON cannot", param=param) from None
    return Wanted(Constraint(ConstraintKind.JSON_SCHEMA, text), param)


def _text(kind: ConstraintKind, value: Any, param: str) -> Wanted:
    if not isinstance(value, str):
        raise InvalidRequest(f"'{param}' must be text", param=param)
    return Wanted(Constraint(kind, value), param)


def _choice(choices: Any, param: str) -> Wanted:
    if not isinstance(choices, list) or not all(isinstance(choice, str) for choice in choices):
        raise InvalidRequest(f"'{param}' must be a list of texts", param=param)
    try:
        text = msgspec.json.encode(choices).decode()
    except UnicodeEncodeError:
        raise InvalidRequest(f"'{param}' holds half a character", param=param) from None
    return Wanted(Constraint(ConstraintKind.CHOICE, text), param)


def _grammar(value: Any, param: str) -> Wanted:
    gbnf = isinstance(value, str) and _GBNF_MARK in value
    return _text(ConstraintKind.GBNF if gbnf else ConstraintKind.LARK, value, param)
