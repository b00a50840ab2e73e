"""Tokenizers built before, as files: building one from a 262,144 token vocabulary takes seconds.

A file is a line with the digest of the rest, and the rest. One that does not match is rebuilt.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

VERSION = b"3"
"""Part of the key: raise it when tokenizer_json changes what it writes."""


def cached(folder: Path, metadata: Mapping[str, Any], build: Callable[[], bytes]) -> str:
    """The tokenizer.json for this metadata, built unless the folder holds it."""
    file = folder / f"{_key(metadata)}.json"
    found = _read(file)
    if found is None:
        found = build()
        _write(file, found)
    return found.decode()


def _key(metadata: Mapping[str, Any]) -> str:
    """Everything that decides the tokenizer, in a fixed order."""
    values = sorted(item for item in metadata.items() if item[0].startswith("tokenizer.ggml."))
    return _digest(VERSION + msgspec.msgpack.encode(values))


def _digest(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def _read(file: Path) -> bytes | None:
    try:
        digest, _, content = file.read_bytes().partition(b"\n")
    except OSError:
        return None
    return content if digest == _digest(content).encode() else None


def _write(file: Path, content: bytes) -> None:
    """Whole or not at all. A cache that cannot be written is only slower."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=file.parent, delete=False) as temporary:
            temporary.write(_digest(content).encode() + b"\n" + content)
        os.replace(temporary.name, file)  # noqa: PTH105
    except OSError:
        return
