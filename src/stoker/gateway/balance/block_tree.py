"""Which block comes after which, so that all that follow a lost one can be found."""

from __future__ import annotations

from collections.abc import Collection

from stoker.kv.block_hash import Digest


class BlockTree:
    """Parent and children of each block. Nearly all have one child, which is kept without a set
    around it: that halves the memory of an index."""

    def __init__(self) -> None:
        self._parents: dict[Digest, Digest] = {}
        self._children: dict[Digest, Digest | set[Digest]] = {}

    def __len__(self) -> int:
        return len(self._parents)

    def add(self, parent: Digest, digest: Digest) -> None:
        """A new block; `parent` is empty for one that begins a prompt."""
        self._parents[digest] = parent
        if not parent:
            return
        known = self._children.get(parent)
        if known is None:
            self._children[parent] = digest
        elif isinstance(known, set):
            known.add(digest)
        else:
            self._children[parent] = {known, digest}

    def remove(self, digest: Digest) -> None:
        parent = self._parents.pop(digest)
        known = self._children.get(parent)
        if isinstance(known, set):
            known.discard(digest)
            if known:
                return
        self._children.pop(parent, None)

    def children(self, digest: Digest) -> Collection[Digest]:
        known = self._children.get(digest, ())
        return (known,) if isinstance(known, bytes) else known
