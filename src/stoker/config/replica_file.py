"""The configuration file of a replica that is started elsewhere, out of that of its front."""

from __future__ import annotations

from typing import Any

import msgspec

from stoker.config.fleet_schema import ModelEntry, RaySection
from stoker.config.schema import Config


def replica_file(entry: ModelEntry, source: str, config: Config) -> str:
    """TOML. Its engine computes as the front's own would; nothing of clients, tenants or backends
    is in it, and no secret."""
    engine: dict[str, Any] = msgspec.to_builtins(config.engine)
    if not config.engine.threads:
        engine["threads"] = max(1, int((entry.ray or RaySection()).cpus))
    sections = {
        "model": {
            "name": source,
            "served_name": entry.name,
            "draft": entry.draft,
            "quantize": entry.quantize,
            "adapters": entry.adapters,
        },
        "engine": engine,
        "log": msgspec.to_builtins(config.log),
    }
    return "\n".join(_section(name, keys) for name, keys in sections.items())


def _section(name: str, keys: dict[str, Any]) -> str:
    """What JSON writes for a text, a number or a truth value means the same in TOML."""
    lines = [
        f"{key} = {msgspec.json.encode(value).decode()}\n"
        for key, value in keys.items()
        if value is not None
    ]
    return f"[{name}]\n{''.join(lines)}"
