"""One value for one key, and where it came from: the unit that all four sources produce."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

import msgspec

from stoker.config.schema import Config


@dataclass(frozen=True, slots=True)
class Setting:
    key: str
    """Section and field joined by a dot, as in 'server.port'."""
    value: object
    source: str
    """For people: 'file stoker.toml', 'environment STOKER_PORT', 'flag --port'."""
    textual: bool = False
    """The value is text that still has to be read as the field's type."""


@cache
def sections() -> dict[str, type[msgspec.Struct]]:
    return {field.name: field.type for field in msgspec.structs.fields(Config)}


@cache
def fields() -> dict[str, object]:
    """Every key the configuration has, with its annotated type."""
    return {
        f"{name}.{field.name}": field.type
        for name, section in sections().items()
        for field in msgspec.structs.fields(section)
    }


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name most like `name`, or None when nothing is close."""
    found = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return found[0] if found else None
