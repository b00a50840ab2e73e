"""What the output of one sequence must look like: a language, spelled in one of a few notations."""

from __future__ import annotations

import enum

import msgspec


class ConstraintKind(enum.Enum):
    """How `Constraint.text` is to be read."""

    JSON_SCHEMA = "json_schema"
    """A JSON Schema, as JSON. `{}` is any JSON, `{"type":"object"}` any object."""
    REGEX = "regex"
    """A regular expression that the whole output matches: Rust's syntax, without look-around."""
    CHOICE = "choice"
    """A JSON array of texts, one of which is the whole output."""
    LARK = "lark"
    """A grammar in llguidance's dialect of Lark; it begins at `start`."""
    GBNF = "gbnf"
    """A grammar as llama.cpp writes them; it begins at `root`."""


class Constraint(msgspec.Struct, frozen=True):
    """Says nothing about whether it can be enforced: see constrain/."""

    kind: ConstraintKind
    text: str
