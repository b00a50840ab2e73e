"""The adapters of a model as the file writes them: NAME=FOLDER."""

from __future__ import annotations

from collections.abc import Iterator

from stoker.config.fleet_schema import ModelEntry
from stoker.config.refusal import contradiction


def adapter_entries(model: ModelEntry) -> Iterator[tuple[str, str]]:
    """Names and folders. Raises ConfigError."""
    for number, text in enumerate(model.adapters):
        name, separator, folder = text.partition("=")
        if not (name and separator and folder):
            raise contradiction(
                f"the adapters of '{model.name}', number {number + 1},",
                f"is not NAME=FOLDER: '{text[:80]}'",
                "Write the name for clients, =, and the folder of adapter_config.json.",
            )
        yield name, folder
