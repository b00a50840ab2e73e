"""Every key there is, whatever is configured: for `stoker config explain` and the page of keys."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import get_origin

import msgspec

from stoker.config.annotation import describe, item_of, struct_in, unit
from stoker.config.meaning import meanings, purpose
from stoker.config.redaction import shown
from stoker.config.setting import lists, sections

_MARKED = re.compile(r"(<!-- keys -->\n).*?(<!-- end -->)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Key:
    name: str
    """As in server.port, models[].replicas or backends[].prices.MODEL.input."""
    expected: str
    """Its type and range in words."""
    default: str
    """'required' for a key that every entry has to set."""
    unit: str
    meaning: str


def keys() -> list[Key]:
    """In the schema's order."""
    return [key for name, kind in tables() for key in keys_of(name, kind)]


def tables() -> list[tuple[str, type[msgspec.Struct]]]:
    """Sections and lists as the file names them, lists with brackets: models[]."""
    return [*sections().items(), *((f"{name}[]", kind) for name, kind in lists().items())]


def keys_of(place: str, kind: type[msgspec.Struct]) -> Iterator[Key]:
    """The keys of one table, with those of the tables inside it."""
    for field in msgspec.structs.fields(kind):
        name = f"{place}.{field.name}"
        inner = struct_in(field.type) or struct_in(item_of(field.type))
        text = meanings(kind)[field.name]
        if inner is None or text:
            yield Key(name, describe(field.type), _default(field), unit(name), text)
        if inner is not None:
            yield from keys_of(name + _brackets(field.type), inner)


def _brackets(annotation: object) -> str:
    origin = get_origin(annotation)
    return "[]" if origin is tuple else ".MODEL" if origin is dict else ""


def _default(field: msgspec.structs.FieldInfo) -> str:
    if field.required:
        return "required"
    if field.default is msgspec.NODEFAULT:
        return "none"
    if isinstance(field.default, msgspec.Struct):
        return "see below"
    return shown(field.default, field.type)


def markdown() -> str:
    """All keys as the tables of a page."""
    parts = []
    for name, kind in tables():
        title = f"[[{name[:-2]}]]" if name.endswith("[]") else f"[{name}]"
        rows = "".join(_row(key, name) for key in keys_of(name, kind))
        heads = "| key | value | default | meaning |\n| --- | --- | --- | --- |\n"
        parts.append(f"### {title}\n\n{purpose(kind)}\n\n{heads}{rows}")
    return "\n".join(parts)


def rewritten(page: str) -> str:
    """A page with the tables anew between its markers."""
    return _MARKED.sub(lambda found: f"{found[1]}\n{markdown()}\n{found[2]}", page)


def _row(key: Key, table: str) -> str:
    name = key.name.removeprefix(f"{table}.")
    measured = f", {key.unit}" if key.unit else ""
    return f"| `{name}` | {key.expected}{measured} | {key.default} | {key.meaning} |\n"
