"""One value for one key, and where it came from: the unit that all four sources produce."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import get_args, get_origin

import msgspec

from stoker.config.schema import Config


@dataclass(frozen=True, slots=True)
class Setting:
    key: str
    """Section and field joined by a dot, as in 'server.port', or the name of a list."""
    value: object
    source: str
    """For people: 'file stoker.toml', 'environment STOKER_PORT', 'flag --port'."""
    textual: bool = False
    """The value is text that still has to be read as the field's type."""


@cache
def sections() -> dict[str, type[msgspec.Struct]]:
    return {
        field.name: field.type
        for field in msgspec.structs.fields(Config)
        if get_origin(field.type) is not tuple
    }


@cache
def lists() -> dict[str, type[msgspec.Struct]]:
    """The arrays of tables, with the type of their entries."""
    return {
        field.name: get_args(field.type)[0]
        for field in msgspec.structs.fields(Config)
        if get_origin(field.type) is tuple
    }


@cache
def fields() -> dict[str, object]:
    """Every key of a section, with its annotated type."""
    return {
        f"{name}.{field.name}": field.type
        for name, section in sections().items()
        for field in msgspec.structs.fields(section)
    }


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name most like `name`, or None when nothing is close."""
    by_folded = {candidate.casefold(): candidate for candidate in known}
    found = difflib.get_close_matches(name.casefold(), list(by_folded), n=1, cutoff=0.6)
    return by_folded[found[0]] if found else None
