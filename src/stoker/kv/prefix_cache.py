"""Finds blocks that already hold the keys and values of a prompt's beginning.

A full block is known by a keyed hash of everything its content depends on: who may share it (the
tenant's salt), the block before it, and its own tokens. Tokens are compared on a hit, so even a
collision gives a miss, not another tenant's prompt (CVE-2025-25183, CVE-2025-46570).
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
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
    parent: Digest
    content: bytes


class PrefixCache:
    """At most one entry per block of the pool, so its size is bounded by the pool's."""

    def __init__(self, block_size: int, hash_block: Hash) -> None:
        self.block_size = block_size
        self._hash = hash_block
        self._by_digest: dict[Digest, _Entry] = {}
        self._by_block: dict[BlockId, Digest] = {}

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
        self, digests: Sequence[Digest], root: Digest, tokens: Sequence[TokenId], limit: int
    ) -> list[BlockId]:
        """Blocks holding the longest known beginning of `tokens`, at most `limit` of them."""
        found: list[BlockId] = []
        parent = root
        for digest in digests[:limit]:
            entry = self._by_digest.get(digest)
            start = len(found) * self.block_size
            if entry is None or entry.parent != parent:
                break
            if entry.content != _content(tokens, start, self.block_size):
                break
            found.append(entry.block)
            parent = digest
        return found

    def register(
        self,
        block: BlockId,
        index: int,
        digests: Sequence[Digest],
        root: Digest,
        tokens: Sequence[TokenId],
    ) -> None:
        """Records that `block` holds block `index` of a sequence, computed and sound. The first
        block of a digest stays; a second one with the same content is not recorded."""
        digest = digests[index]
        if digest in self._by_digest or block in self._by_block:
            return
        parent = digests[index - 1] if index else root
        content = _content(tokens, index * self.block_size, self.block_size)
        self._by_digest[digest] = _Entry(block, parent, content)
        self._by_block[block] = digest

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
