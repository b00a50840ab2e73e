"""Constraints of every kind with how to tell that a text keeps to them, and a small table of
tokens."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jsonschema

from stoker.constrain.matcher import Matcher
from stoker.constrain.token_table import TokenTable
from stoker.core.constraint import Constraint, ConstraintKind
from tests.support.text import tiny_text

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 12},
        "age": {"type": "integer", "minimum": 0, "maximum": 150},
        "tags": {"type": "array", "items": {"enum": ["a", "b"]}, "maxItems": 3},
    },
    "required": ["name", "age"],
    "additionalProperties": False,
}
GBNF = 'root ::= "(" root ")" | [0-9] [0-9]?'
LARK = 'start: "x"{2,4} "!"'


@dataclass(frozen=True)
class Case:
    name: str
    constraint: Constraint
    kept: Callable[[str], bool]


def follows(schema: Any, text: str) -> bool:
    """Whether the text is JSON that the schema allows."""
    try:
        return bool(jsonschema.Draft202012Validator(schema).is_valid(json.loads(text)))
    except ValueError:
        return False


def constraint(kind: str, text: Any) -> Constraint:
    return Constraint(ConstraintKind(kind), text if isinstance(text, str) else json.dumps(text))


CASES = (
    Case("schema", constraint("json_schema", SCHEMA), lambda text: follows(SCHEMA, text)),
    Case("regex", constraint("regex", "^[a-f]{2,5}-[0-9]{3}$"),
         lambda text: re.fullmatch("[a-f]{2,5}-[0-9]{3}", text) is not None),
    Case("choice", constraint("choice", ["yes", "no", "not sure"]),
         lambda text: text in ("yes", "no", "not sure")),
    Case("gbnf", constraint("gbnf", GBNF),
         lambda text: re.fullmatch(r"\(*[0-9]{1,2}\)*", text) is not None
         and text.count("(") == text.count(")")),
    Case("lark", constraint("lark", LARK), lambda text: re.fullmatch("x{2,4}!", text) is not None),
)  # fmt: skip


def tiny_table() -> TokenTable:
    return tiny_text().tokenizer.vocabulary.table


def allowed(matcher: Matcher) -> set[int]:
    """The tokens that may come next."""
    [mask] = matcher.masks()
    return {token for token in range(tiny_table().num_tokens) if mask[token // 8] >> token % 8 & 1}


def takes(matcher: Matcher, text: str) -> bool:
    """Whether it may go on with the text, a byte a token, and end there. Moves the matcher."""
    table = tiny_table()
    ids = {spelled: token for token, spelled in enumerate(table.tokens()) if len(spelled) == 1}
    for byte in text.encode():
        if ids[bytes([byte])] not in allowed(matcher):
            return False
        matcher.advance(ids[bytes([byte])])
    return matcher.complete or not allowed(matcher).isdisjoint(table.ends)
