"""Rules for the arguments of a call, in each form that templates write them in."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from stoker.errors import UnsupportedConstraint
from stoker.text.calls.format import JsonArguments, PlainArguments, TaggedArguments
from stoker.text.calls.lark_rules import LarkRules, spaced
from stoker.text.calls.schemas import types_of

_DEFINITIONS = ("$defs", "definitions")
_KNOWN = frozenset(["type", "title", "description", "default", "examples"])
"""Keywords that plain text in tags can keep to."""
_OPPOSITES = {"true": "false", "tru": "fals"}
"""Of the word that says that a string follows, where it does not name the type."""


@dataclass(frozen=True, slots=True)
class ArgumentRules:
    rules: LarkRules
    name: str
    """Of the rule for all arguments; those beside it begin with it."""
    schema: Mapping[str, Any]
    strict: bool

    def add(self, form: JsonArguments | TaggedArguments | PlainArguments) -> None:
        """Raises UnsupportedConstraint where a strict schema cannot be kept in that form."""
        match form:
            case JsonArguments():
                self.rules.json(self.name, self.schema, strict=self.strict)
            case TaggedArguments():
                self._add_tagged(form)
            case PlainArguments():
                self._add_plain(form)

    def _arguments(self) -> Iterator[tuple[str, str, dict[str, Any], bool]]:
        """Rule, key, schema, and whether it is required."""
        required = self.schema.get("required", [])
        shared = {key: self.schema[key] for key in _DEFINITIONS if key in self.schema}
        for number, (key, schema) in enumerate(self.schema.get("properties", {}).items()):
            if schema is not False:
                own = {} if schema is True else schema
                yield f"{self.name}_{number}", key, {**shared, **own}, key in required

    def _add_tagged(self, form: TaggedArguments) -> None:
        parts = []
        for rule, key, schema, required in self._arguments():
            self._tagged(form, rule, key, schema)
            parts.append(rule if required else f"{rule}?")
        self.rules.add(self.name, spaced(*parts))

    def _tagged(self, form: TaggedArguments, rule: str, key: str, schema: dict[str, Any]) -> None:
        types = types_of(schema)
        text = types == {"string"}
        hole = _type_word(form, types)
        opening = spaced(
            self.rules.literal(form.key_open) + " " + json.dumps(key),
            self.rules.literal(form.value_open, hole),
        )
        value = f"{rule}_value"
        if not text:
            self.rules.json(value, schema, strict=self.strict)
            close = self.rules.literal(form.value_close)
            self.rules.add(rule, spaced(opening, value, close))
            return
        self._text(form, value, key, schema)
        self.rules.add(rule, f"{opening} {value}")

    def _text(self, form: TaggedArguments, value: str, key: str, schema: dict[str, Any]) -> None:
        choices = schema.get("enum", [schema["const"]] if "const" in schema else None)
        known = _KNOWN | {"enum", "const", *_DEFINITIONS}
        if self.strict and not schema.keys() <= known:
            raise UnsupportedConstraint(
                f"what is said of '{key[:64]}' cannot be enforced as this model writes calls",
                param="tools",
                hint="Leave out 'strict', or what says more than its type and choices.",
            )
        if choices is None:
            self.rules.text_until(value, form.value_close)
            return
        said = " | ".join(json.dumps(choice) for choice in choices)
        self.rules.add(value, spaced(f"({said})", self.rules.literal(form.value_close)))

    def _add_plain(self, form: PlainArguments) -> None:
        """Commas stand between them: for each a rule for it and those behind, where none was
        written yet and where one was."""
        first, more = "", ""
        for rule, key, schema, required in reversed([*self._arguments()]):
            value = self.rules.json(f"{rule}_value", schema, strict=self.strict)
            one = f"{json.dumps(key + form.assign)} {value}"
            comma = f'"," WS? {one}' if required else f'("," WS? {one})?'
            begun = f"{one} {more}" if required or not first else f"{one} {more} | {first}"
            first = self.rules.add(f"{rule}_first", begun if required or first else f"({one})?")
            more = self.rules.add(f"{rule}_more", f"{comma} {more}")
        self.rules.add(self.name, first)


def _type_word(form: TaggedArguments, types: frozenset[str]) -> str:
    """What stands in the hole before a value, where it says the type."""
    if form.string_word is None or types == {"string"}:
        return form.string_word or ""
    return _OPPOSITES.get(form.string_word) or next(iter(sorted(types)), "object")
