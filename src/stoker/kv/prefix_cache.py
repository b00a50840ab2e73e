"""Finds blocks that already hold the keys and values of a prompt's beginning.

A full block is known by a keyed hash of everything its content depends on: who may share it (the
tenant), the block before it, and its own tokens. On a hit all three are compared as well, so even
a collision gives a miss, never another prompt or another tenant's (CVE-2025-25183,
CVE-2025-46570).
"""

from __future__ import annotations

import itertools
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b

from stoker.core.ids import BlockId, TokenId

Digest = bytes
DIGEST_BYTES = 16
Hash = Callable[[Digest, bytes], Digest]
"""(parent digest, block content) → digest."""


def keyed_hash(key: bytes) -> Hash:
    """Unpredictable without `key`, which is drawn anew by each process and never leaves it."""

    def digest(parent: Digest, content: bytes) -> Digest:
        return blake2b(parent + content, digest_size=DIGEST_BYTES, key=key).digest()

    return digest


@dataclass(frozen=True, slots=True)
class _Entry:
    block: BlockId
    serial: int
    """Never used again, so that a child cannot match a parent that came later."""
    parent: int | str
    """Serial of the block before, or the tenant for a first block."""
    content: bytes


class PrefixCache:
    """At most one entry per block of the pool, so its size is bounded by the pool's."""

    def __init__(self, block_size: int, hash_block: Hash) -> None:
        self.block_size = block_size
        self._hash = hash_block
        self._by_digest: dict[Digest, _Entry] = {}
        self._by_block: dict[BlockId, Digest] = {}
        self._serials = itertools.count()

    def __len__(self) -> int:
        return len(self._by_digest)

    def root(self, tenant: str) -> Digest:
        """Where the chain of a tenant's prompts begins."""
        return self._hash(b"tenant", tenant.encode())

    def extend(self, digests: list[Digest], root: Digest, tokens: Sequence[TokenId]) -> None:
        """Appends the digests of those full blocks of `tokens` that `digests` lacks."""
        size = self.block_size
        for start in range(len(digests) * size, len(tokens) // size * size, size):
            parent = digests[-1] if digests else root
            digests.append(self._hash(parent, _content(tokens, start, size)))

    def lookup(
        self, digests: Sequence[Digest], tenant: str, tokens: Sequence[TokenId], limit: int
    ) -> list[BlockId]:
        """Blocks holding the longest known beginning of `tokens`, at most `limit` of them."""
        return [entry.block for entry in self._chain(digests, tenant, tokens, limit)]

    def register(
        self,
        table: Sequence[BlockId],
        first: int,
        last: int,
        digests: Sequence[Digest],
        tenant: str,
        tokens: Sequence[TokenId],
    ) -> None:
        """Records that blocks `first` to `last - 1` of a sequence are computed and sound. Where
        the same content is known already, the block that had it stays."""
        parent: int | str = tenant
        if first:
            known = list(self._chain(digests, tenant, tokens, first))
            if len(known) < first:
                return  # the beginning was evicted: what follows could never be found
            parent = known[-1].serial
        for index in range(first, last):
            content = _content(tokens, index * self.block_size, self.block_size)
            entry = self._by_digest.get(digests[index])
            if entry is None or (entry.parent, entry.content) != (parent, content):
                entry = _Entry(table[index], next(self._serials), parent, content)
                self._record(digests[index], entry)
            parent = entry.serial

    def _chain(
        self, digests: Sequence[Digest], tenant: str, tokens: Sequence[TokenId], limit: int
    ) -> Iterator[_Entry]:
        parent: int | str = tenant
        for index, digest in enumerate(digests[:limit]):
            entry = self._by_digest.get(digest)
            content = _content(tokens, index * self.block_size, self.block_size)
            if entry is None or (entry.parent, entry.content) != (parent, content):
                return
            yield entry
            parent = entry.serial

    def _record(self, digest: Digest, entry: _Entry) -> None:
        """Replaces what the digest or the block stood for before."""
        self.forget(entry.block)
        replaced = self._by_digest.get(digest)
        if replaced is not None:
            self.forget(replaced.block)
        self._by_digest[digest] = entry
        self._by_block[entry.block] = digest

    def holds(self, block: BlockId) -> bool:
        return block in self._by_block

    def forget(self, block: BlockId) -> None:
        """The block is about to get new content."""
        digest = self._by_block.pop(block, None)
        if digest is not None:
            del self._by_digest[digest]

    def check(self) -> None:
        """Raises AssertionError unless both directions of the map agree (invariant I03)."""
        assert {digest: entry.block for digest, entry in self._by_digest.items()} == {
            digest: block for block, digest in self._by_block.items()
        }, "the prefix cache's two maps differ"


def _content(tokens: Sequence[TokenId], start: int, size: int) -> bytes:
    return array("i", tokens[start : start + size]).tobytes()
