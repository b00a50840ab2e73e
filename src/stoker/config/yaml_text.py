"""YAML as tables, lists and plain values, and nothing else.

Only the library's parser is used, never a loader: no tag makes an object, and there are no anchors,
which can make a small file a huge one. Plain values follow YAML 1.2, in which `no` and `on` are
text. A key that stands twice is refused, as in TOML.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import yaml

from stoker.errors import ConfigError

MAX_DEPTH = 32
_CONSTANTS: dict[str, object] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_WHOLE = re.compile(r"[-+]?[0-9]{1,18}")
_BASED = re.compile(r"0o[0-7]{1,20}|0x[0-9a-fA-F]{1,15}")
_NUMBER = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_PARSER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The one in C where the library has it; either is only asked for events."""


def parse_yaml(text: str, path: Path) -> dict[str, object]:
    """The file's one document; an empty one is an empty table. Raises ConfigError with the line."""
    try:
        documents = list(_Reader(text, path).documents())
    except yaml.MarkedYAMLError as error:
        raise _refusal(path, error.problem or "not understood", error.problem_mark) from None
    except yaml.YAMLError:
        raise _refusal(path, "it has characters that YAML does not allow", None) from None
    if len(documents) > 1:
        raise _refusal(path, "it has more than one document", None)
    value = documents[0] if documents else None
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise _refusal(path, "its outermost level is no table of sections", None)
    return value


class _Reader:
    """Builds values from the parser's events, in one pass."""

    def __init__(self, text: str, path: Path) -> None:
        self._events: Iterator[yaml.Event] = yaml.parse(text, Loader=_PARSER)
        self._path = path
        self._depth = 0

    def documents(self) -> Iterator[object]:
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                yield self._value(next(self._events))

    def _value(self, event: yaml.Event) -> object:
        self._check(event)
        if isinstance(event, yaml.ScalarEvent):
            return _plain(event)
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise _refusal(self._path, "it is nested too deeply", event.start_mark)
        value = self._list() if isinstance(event, yaml.SequenceStartEvent) else self._table()
        self._depth -= 1
        return value

    def _check(self, event: yaml.Event) -> None:
        if getattr(event, "anchor", None) is not None:
            raise _refusal(self._path, "anchors and aliases are not taken", event.start_mark)
        if getattr(event, "tag", None) is not None:
            raise _refusal(self._path, "tags are not taken", event.start_mark)

    def _list(self) -> list[object]:
        items = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            items.append(self._value(event))
        return items

    def _table(self) -> dict[str, object]:
        table: dict[str, object] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            self._check(event)
            if not isinstance(event, yaml.ScalarEvent):
                raise _refusal(self._path, "a key must be a word", event.start_mark)
            if event.value in table:
                problem = f"the key {event.value!r} stands twice"
                raise _refusal(self._path, problem, event.start_mark)
            table[event.value] = self._value(next(self._events))
        return table


def _plain(event: yaml.ScalarEvent) -> object:
    """Quoted is text; anything else is what YAML 1.2's core schema makes of it."""
    text: str = event.value
    if event.style not in (None, ""):
        return text
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if _BASED.fullmatch(text):
        return int(text, 0)
    if _WHOLE.fullmatch(text):
        return int(text)
    return float(text) if _NUMBER.fullmatch(text) else text


class _Mark(Protocol):
    @property
    def line(self) -> int: ...

    @property
    def column(self) -> int: ...


def _refusal(path: Path, problem: str, mark: _Mark | None) -> ConfigError:
    where = f" (at line {mark.line + 1}, column {mark.column + 1})" if mark else ""
    return ConfigError(f"configuration file {path} is not valid YAML: {problem}{where}")
