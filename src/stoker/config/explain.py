"""The effective configuration as rows for people: key, value, where it came from, what it means."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import msgspec

from stoker.config.annotation import unit
from stoker.config.load import LoadedConfig
from stoker.config.meaning import meanings
from stoker.config.redaction import plain, shown
from stoker.config.reference import Key, keys
from stoker.config.setting import nearest, sections
from stoker.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Explanation:
    key: str
    value: str
    source: str
    unit: str = ""
    meaning: str = ""


def explain(loaded: LoadedConfig) -> list[Explanation]:
    """One row a key, in the schema's order, and one for each key of each entry of a list. Secrets
    show only that they are set."""
    return list(_table("", loaded.config, loaded.sources))


def explain_key(loaded: LoadedConfig, wanted: str) -> list[Explanation]:
    """The rows of one key, section, list, entry, or name of a key wherever it stands. A key of a
    list without entries shows its default. Raises ConfigError with the nearest name."""
    wanted = wanted.replace("[]", "")
    rows = [row for row in explain(loaded) if _matches(row.key, wanted)]
    rows = rows or [_unset(key) for key in keys() if _matches(key.name, wanted)]
    if rows:
        return rows
    known = [_bare(key.name) for key in keys()]
    near = nearest(_bare(wanted), known) or nearest(
        wanted, {name.rpartition(".")[2] for name in known}
    )
    raise ConfigError(
        f"there is no key '{wanted[:100]}'",
        hint=f"Did you mean {near}?" if near else "'stoker config explain' lists all keys.",
    )


def _matches(key: str, wanted: str) -> bool:
    """Numbers in brackets may be left out of what is wanted."""
    inside = (f"{wanted}.", f"{wanted}[")
    return key.rpartition(".")[2] == wanted or any(
        name == wanted or name.startswith(inside) for name in (key, _bare(key))
    )


def _bare(key: str) -> str:
    return re.sub(r"\[\d*\]", "", key)


def _unset(key: Key) -> Explanation:
    return Explanation(key.name, key.default, "default", key.unit, key.meaning)


def _table(place: str, table: msgspec.Struct, sources: Mapping[str, str]) -> Iterator[Explanation]:
    kind = type(table)
    for field in msgspec.structs.fields(kind):
        key = f"{place}.{field.name}" if place else field.name
        value = getattr(table, field.name)
        inner = list(_inside(key, value))
        for name, entry in inner:
            yield from _table(name, entry, sources)
        if not inner and (place or field.name in sections()):
            yield Explanation(
                key,
                shown(value, field.type),
                sources.get(key, "default"),
                unit(key),
                meanings(kind)[field.name],
            )


def _inside(key: str, value: object) -> Iterator[tuple[str, msgspec.Struct]]:
    """The tables a value is made of, with their places."""
    if isinstance(value, msgspec.Struct):
        yield key, value
    elif isinstance(value, dict):
        yield from ((f"{key}.{plain(name)}", entry) for name, entry in value.items())
    elif isinstance(value, tuple):
        for number, entry in enumerate(value):
            if isinstance(entry, msgspec.Struct):
                yield f"{key}[{number}]", entry
