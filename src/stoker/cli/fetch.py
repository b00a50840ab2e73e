"""A model's path on this machine, fetched with a progress bar if need be."""

from __future__ import annotations

from pathlib import Path

from msgspec.structs import replace

from stoker.cli.progress import bar
from stoker.config.paths import cache_folder
from stoker.config.schema import ModelSection


def fetch(section: ModelSection) -> Path:
    """Raises PullError."""
    from stoker.model.pull import resolve

    with bar(f"Fetching {section.name}") as report:
        return resolve(section.name, cache_folder(section), report)


def fetched_draft(section: ModelSection) -> Path | None:
    """The model that guesses ahead, if there is to be one. Raises PullError."""
    return fetch(replace(section, name=section.draft)) if section.draft else None
