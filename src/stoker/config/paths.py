"""Where things are kept on this machine."""

from __future__ import annotations

from pathlib import Path

from stoker.config.schema import ModelSection


def cache_folder(model: ModelSection) -> Path:
    """Downloaded weights and built tokenizers. Safe to delete."""
    return Path(model.cache).expanduser() if model.cache else Path.home() / ".cache" / "stoker"
