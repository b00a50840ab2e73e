"""The notations of constraints, each turned into a grammar of llguidance's."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec
from llguidance import LLMatcher
from llguidance.gbnf_to_lark import gbnf_to_lark

from stoker.core.constraint import Constraint, ConstraintKind
from stoker.errors import UnsupportedConstraint

MAX_BYTES = 128 * 1024
"""Of a constraint's text."""
MAX_CHOICES = 4096
JSON_OPTIONS: Any = {
    "whitespace_flexible": True,
    # Enough to indent with; with more, an unlucky draw would never come to an end.
    "whitespace_pattern": r"( |\n[ \t]{0,20})",
    "lenient": False,  # a keyword that is not understood is refused, never ignored
    "coerce_one_of": False,
    "item_separator": ",",
    "key_separator": ":",
}
OPTIONS_KEY = "x-guidance"
"""Where llguidance looks for options in a schema: some would make it print something else."""


def grammar(constraint: Constraint) -> str:
    """Raises UnsupportedConstraint where the text is not in its notation."""
    try:
        if len(constraint.text.encode()) > MAX_BYTES:
            raise UnsupportedConstraint(f"it is longer than {MAX_BYTES} bytes")
        return _NOTATIONS[constraint.kind](constraint.text)
    except (ValueError, RecursionError) as error:
        raise UnsupportedConstraint(_reason(error)) from None


def _json_schema(text: str) -> str:
    schema = msgspec.json.decode(text)
    if schema is True:
        text, schema = "{}", {}
    if not isinstance(schema, dict):
        raise ValueError("the schema is not an object")
    if OPTIONS_KEY in schema:
        raise ValueError(f"the keyword '{OPTIONS_KEY}' is not supported")
    return LLMatcher.grammar_from_json_schema(text, overrides=JSON_OPTIONS)


def _regex(text: str) -> str:
    """The whole output has to match, so an anchor at either end adds nothing."""
    text = text.removeprefix("^")
    if text.endswith("$") and not _escaped(text):
        text = text[:-1]
    return LLMatcher.grammar_from_regex(text)


def _escaped(text: str) -> bool:
    body = text[:-1]
    return (len(body) - len(body.rstrip("\\"))) % 2 == 1


def _choice(text: str) -> str:
    choices = msgspec.json.decode(text, type=list[str])
    if not 0 < len(choices) <= MAX_CHOICES:
        raise ValueError(f"there must be 1 to {MAX_CHOICES} choices")
    return LLMatcher.grammar_from_lark("start: " + " | ".join(map(json.dumps, choices)))


def _gbnf(text: str) -> str:
    try:
        lark = gbnf_to_lark(text)
    except RecursionError:
        raise
    except Exception as error:  # of many kinds, bare ones among them
        raise ValueError(str(error)) from None
    return LLMatcher.grammar_from_lark(lark)


_NOTATIONS: dict[ConstraintKind, Callable[[str], str]] = {
    ConstraintKind.JSON_SCHEMA: _json_schema,
    ConstraintKind.REGEX: _regex,
    ConstraintKind.CHOICE: _choice,
    ConstraintKind.LARK: LLMatcher.grammar_from_lark,
    ConstraintKind.GBNF: _gbnf,
}


def _reason(error: Exception) -> str:
    return "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
