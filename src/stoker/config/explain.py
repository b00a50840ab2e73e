"""The effective configuration as rows for people: key, value, and where the value came from."""

from __future__ import annotations

from dataclasses import dataclass

from stoker.config.load import LoadedConfig
from stoker.config.setting import fields

SECRETS = frozenset({"server.api_key"})


@dataclass(frozen=True, slots=True)
class Explanation:
    key: str
    value: str
    source: str


def explain(loaded: LoadedConfig) -> list[Explanation]:
    """One row a key, in the schema's order. Secrets show only that they are set."""
    return [
        Explanation(key, _shown(key, _value(loaded, key)), loaded.sources.get(key, "default"))
        for key in fields()
    ]


def _value(loaded: LoadedConfig, key: str) -> object:
    section, name = key.split(".")
    return getattr(getattr(loaded.config, section), name)


def _shown(key: str, value: object) -> str:
    if value is None:
        return "not set"
    if key in SECRETS:
        return "set (hidden)"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ", ".join(str(item) for item in value) or "none"
    return str(value)
