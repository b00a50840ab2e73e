"""Finds the text model in a folder that holds parts for pictures too; those are left unread."""

from __future__ import annotations

from collections.abc import Iterable

from stoker.errors import ModelFileError
from stoker.model.fields import Fields

OTHER_PARTS = tuple(
    prefix + part
    for prefix in ("", "model.")
    for part in ("vision_tower.", "multi_modal_projector.")
)
"""How names of tensors begin that a text model has no use for."""
_TEXT_PARTS = (("language_model.", ""), ("model.language_model.", "model."))
"""How names of the text model's tensors begin in such a folder, by age of the program that wrote
it, and how they begin in a folder of the text model alone."""


def text_config(config: Fields) -> Fields:
    """The text model's own section of config.json; all of it where there is nothing else."""
    return config.section("text_config") or config


def stored_names(source: object, stored: Iterable[str]) -> dict[str, str]:
    """A tensor's name in a folder of the text model alone → its name here.

    Raises ModelFileError when two tensors would have the same name.
    """
    found: dict[str, str] = {}
    for name in stored:
        plain = _plain(name)
        if plain in found:
            raise ModelFileError(source, f"tensors '{found[plain]}' and '{name}' are the same one")
        found[plain] = name
    return found


def _plain(name: str) -> str:
    for prefix, instead in _TEXT_PARTS:
        if name.startswith(prefix):
            return instead + name.removeprefix(prefix)
    return name
