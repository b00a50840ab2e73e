"""What changes between two configurations, and which of it can change while the server runs.

Pure. Changes are told by name and never by value, so they can be logged.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from stoker.config.consistency import check
from stoker.config.schema import Config
from stoker.config.setting import lists, sections
from stoker.errors import ConfigError

LIVE_TABLES = frozenset({"queue", "balance", "backends", "routes", "tenants", "keys"})
LIVE_KEYS: Mapping[str, frozenset[str]] = {
    "models": frozenset({"replicas", "autoscale", "price"}),
    "log": frozenset({"level"}),
}
"""Anything else needs a restart."""


class Kind(enum.Enum):
    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True)
class Change:
    table: str
    """A section or list, as in 'queue' or 'tenants'."""
    kind: Kind
    name: str = ""
    """The entry's; empty for a section."""
    keys: tuple[str, ...] = ()
    """Those that differ; empty for an entry that was added or removed."""

    def __str__(self) -> str:
        entry = f" '{self.name}'" if self.name else ""
        if self.kind is not Kind.CHANGED:
            return f"{self.table}{entry} {self.kind.value}"
        if not self.name:
            return ", ".join(f"{self.table}.{key}" for key in self.keys)
        return f"{self.table}{entry} ({', '.join(self.keys)})"


@dataclass(frozen=True, slots=True)
class Reload:
    config: Config
    """In force from now on: the old one with what can change while the server runs."""
    live: tuple[Change, ...]
    restart: tuple[Change, ...]
    """What waits for a restart."""

    def of(self, table: str) -> tuple[Change, ...]:
        """The live changes of one section or list."""
        return tuple(change for change in self.live if change.table == table)


def plan(old: Config, new: Config) -> Reload:
    """`new` must be sound. When the part of it that could be live contradicts what waits for a
    restart, such as a route to a model that is yet to be started, all of it waits."""
    live: list[Change] = []
    restart: list[Change] = []
    for change in changes(old, new):
        for part in _split(change):
            (live if _is_live(part) else restart).append(part)
    config = _merged(old, new)
    try:
        check(config)
    except ConfigError:
        return Reload(old, (), (*live, *restart))
    return Reload(config, tuple(live), tuple(restart))


def changes(old: Config, new: Config) -> Iterator[Change]:
    """Sections by key, entries of lists by name; the order of entries is no change."""
    for section in sections():
        keys = _differing(getattr(old, section), getattr(new, section))
        if keys:
            yield Change(section, Kind.CHANGED, keys=keys)
    for table in lists():
        before, after = _by_name(old, table), _by_name(new, table)
        for name, entry in after.items():
            if name not in before:
                yield Change(table, Kind.ADDED, _label(entry))
            elif keys := _differing(before[name], entry):
                yield Change(table, Kind.CHANGED, _label(entry), keys)
        for name, entry in before.items():
            if name not in after:
                yield Change(table, Kind.REMOVED, _label(entry))


def _differing(old: msgspec.Struct, new: msgspec.Struct) -> tuple[str, ...]:
    return tuple(name for name in old.__struct_fields__ if getattr(old, name) != getattr(new, name))


def _by_name(config: Config, table: str) -> dict[str, Any]:
    return {_label(entry).casefold(): entry for entry in getattr(config, table)}


def _label(entry: Any) -> str:
    """Keys go by id, everything else by name."""
    label: str = entry.id if hasattr(entry, "id") else entry.name
    return label


def _split(change: Change) -> Iterator[Change]:
    """A change of keys of which only some are live is two."""
    allowed = LIVE_KEYS.get(change.table)
    if allowed is None or change.kind is not Kind.CHANGED:
        yield change
        return
    for keys in (
        tuple(key for key in change.keys if key in allowed),
        tuple(key for key in change.keys if key not in allowed),
    ):
        if keys:
            yield Change(change.table, change.kind, change.name, keys)


def _is_live(change: Change) -> bool:
    if change.table in LIVE_TABLES:
        return True
    allowed = LIVE_KEYS.get(change.table, frozenset())
    return bool(change.keys) and allowed.issuperset(change.keys)


def _merged(old: Config, new: Config) -> Config:
    """Tables that are live from `new`; of the others, the keys that are."""
    parts: dict[str, Any] = {table: getattr(new, table) for table in LIVE_TABLES}
    for table, allowed in LIVE_KEYS.items():
        if table in sections():
            parts[table] = _with(getattr(old, table), getattr(new, table), allowed)
            continue
        after = _by_name(new, table)
        parts[table] = tuple(
            _with(entry, after.get(_label(entry).casefold(), entry), allowed)
            for entry in getattr(old, table)
        )
    return msgspec.structs.replace(old, **parts)


def _with(old: msgspec.Struct, new: msgspec.Struct, keys: frozenset[str]) -> msgspec.Struct:
    return msgspec.structs.replace(old, **{key: getattr(new, key) for key in keys})
