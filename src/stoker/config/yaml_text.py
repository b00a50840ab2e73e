"""YAML as tables, lists and plain values, and nothing else.

Only the library's scanner and parser are used, never a loader: no tag makes an object, and there
are no anchors, which can make a small file a huge one. Plain values follow YAML 1.2, in which `no`
and `on` are text. A key that stands twice is refused, as in TOML.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Protocol

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

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


def parse_yaml(text: str, path: Path) -> dict[str, object]:
    """The file's one document; an empty one is an empty table. Raises ConfigError with the line."""
    try:
        _check_events(text, path)
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        raise _refusal(path, error.problem or "not understood", error.problem_mark) from None
    except yaml.YAMLError:
        raise _refusal(path, "it has characters that YAML does not allow", None) from None
    value = {} if root is None else _value(root, path)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise _refusal(path, "its outermost level is no table of sections", None)
    return value


def _check_events(text: str, path: Path) -> None:
    """Refuses anchors, tags and deep nesting before any tree is built."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MAX_DEPTH:
            raise _refusal(path, "it is nested too deeply", event.start_mark)
        if getattr(event, "anchor", None) is not None:
            raise _refusal(path, "anchors and aliases are not taken", event.start_mark)
        if getattr(event, "tag", None) is not None:
            raise _refusal(path, "tags are not taken", event.start_mark)


def _value(node: Node, path: Path) -> object:
    if isinstance(node, SequenceNode):
        return [_value(item, path) for item in node.value]
    if isinstance(node, MappingNode):
        return _table(node, path)
    return _plain(node) if isinstance(node, ScalarNode) else None


def _table(node: MappingNode, path: Path) -> dict[str, object]:
    table: dict[str, object] = {}
    for key, value in node.value:
        if not isinstance(key, ScalarNode):
            raise _refusal(path, "a key must be a word", key.start_mark)
        if key.value in table:
            raise _refusal(path, f"the key {key.value} stands twice", key.start_mark)
        table[key.value] = _value(value, path)
    return table


def _plain(node: ScalarNode) -> object:
    """Quoted is text; anything else is what YAML 1.2's core schema makes of it."""
    text: str = node.value
    if node.style is not None:
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
