"""Refuses pickled weights, by name and by first bytes: unpickling runs what the file says (S04)."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from stoker.errors import ModelFileError

SAFE_FORMATS = "Only GGUF files and folders of safetensors files are opened."
_SUFFIXES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")
_PROTOCOLS = tuple(bytes([0x80, protocol]) for protocol in range(1, 6))
_BEGINNINGS = (*_PROTOCOLS, b"PK\x03\x04")
"""Pickle from protocol 1 on, and the zip archive that newer torch files are."""


def refuse_pickled(paths: Iterable[Path]) -> None:
    """Raises ModelFileError for the first that is pickled by its name."""
    for path in paths:
        if path.suffix.lower() in _SUFFIXES:
            raise ModelFileError(path, "is pickled, which could run code", hint=SAFE_FORMATS)


def looks_pickled(beginning: bytes) -> bool:
    """For a file already known not to be of a safe format."""
    return beginning.startswith(_BEGINNINGS)
