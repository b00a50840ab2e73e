"""An adapter by what it is: a name, and a digest of its files, so that two that differ are never
taken for one another, whatever they are called."""

from __future__ import annotations

import msgspec

BASE = ""
"""In place of an adapter's key: the model as it is."""


class AdapterSource(msgspec.Struct, frozen=True):
    name: str
    digest: str
    path: str
    """Folder of its files."""
    num_bytes: int = 0
    """Of its files."""

    @property
    def key(self) -> str:
        """What requests, blocks of keys and values, and engines know it by."""
        return f"{self.name}@{self.digest}"
