"""Finds blocks that already hold the keys and values of a prompt's beginning.

A full block is known by a keyed hash of everything its content depends on: who may share it (the
tenant), what computed it (the adapter), the block before it, and its own tokens. On a hit all are
compared as well, so even a collision gives a miss, never another prompt, another tenant's or
another adapter's (CVE-2025-25183, CVE-2025-46570).
"""

from __future__ import annotations

import itertools
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field

from stoker.core.ids import BlockId
from stoker.kv.block_hash import Digest, Hash, Scope, following
from stoker.kv.cache_listener import CacheListener, Unheard


@dataclass(frozen=True, slots=True)
class _Entry:
    block: BlockId
    serial: int
    """Never used again, so that a child cannot match a parent that came later."""
    parent: int | Scope
    """Serial of the block before, or the scope for a first block."""
    content: bytes


@dataclass(slots=True)
class Chain:
    """One sequence's way through the cache. Each block's digest is computed once, and what was
    found or recorded is remembered, so that a new block costs the same at any length."""

    scope: Scope
    root: Digest
    digests: list[Digest] = field(default_factory=list)
    serials: list[int] = field(default_factory=list)
    """Of the entries that stood for the first blocks when they were last looked at."""

    def parent(self, index: int) -> int | Scope:
        return self.serials[index - 1] if index else self.scope


class PrefixCache:
    """At most one entry per block of the pool, so its size is bounded by the pool's."""

    def __init__(
        self, block_size: int, hash_block: Hash, listener: CacheListener | None = None
    ) -> None:
        """`listener` is told of every entry that comes or goes."""
        self.block_size = block_size
        self._hash = hash_block
        self._listener = listener or Unheard()
        self._by_digest: dict[Digest, _Entry] = {}
        self._by_block: dict[BlockId, Digest] = {}
        self._serials = itertools.count()

    def __len__(self) -> int:
        return len(self._by_digest)

    def chain(self, scope: Scope) -> Chain:
        """For a new sequence."""
        return Chain(scope, scope.root(self._hash))

    def lookup(self, chain: Chain, tokens: array[int], limit: int) -> list[BlockId]:
        """Blocks holding the longest known beginning of `tokens`, at most `limit` of them."""
        self._extend(chain, tokens)
        chain.serials.clear()
        blocks = []
        for index in range(min(limit, len(chain.digests))):
            entry = self._find(chain, index, self._content(tokens, index))
            if entry is None:
                break
            chain.serials.append(entry.serial)
            blocks.append(entry.block)
        return blocks

    def register(
        self, chain: Chain, tokens: array[int], table: Sequence[BlockId], first: int, last: int
    ) -> None:
        """Records that blocks `first` to `last - 1` of a sequence are computed and sound. Where
        the same content is known already, the block that had it stays."""
        self._extend(chain, tokens)
        if not self._knows(chain, first):
            return  # the beginning was evicted: what follows could never be found
        del chain.serials[first:]
        for index in range(first, last):
            content = self._content(tokens, index)
            entry = self._find(chain, index, content)
            if entry is None:
                serial = next(self._serials)
                entry = _Entry(table[index], serial, chain.parent(index), content)
                self._record(chain.digests[index], entry)
                self._listener.stored(
                    chain.digests[index - 1] if index else b"", chain.digests[index]
                )
            chain.serials.append(entry.serial)

    def _extend(self, chain: Chain, tokens: array[int]) -> None:
        """Appends the digests of those full blocks of `tokens` that the chain lacks."""
        new = tokens[len(chain.digests) * self.block_size :]
        if len(new) < self.block_size:
            return
        parent = chain.digests[-1] if chain.digests else chain.root
        size = self.block_size * tokens.itemsize
        chain.digests += following(self._hash, parent, new.tobytes(), size)

    def _find(self, chain: Chain, index: int, content: bytes) -> _Entry | None:
        entry = self._by_digest.get(chain.digests[index])
        if entry is None or entry.content != content or entry.parent != chain.parent(index):
            return None
        return entry

    def _knows(self, chain: Chain, count: int) -> bool:
        """Whether the last of the first `count` blocks is still what the chain remembers. Its
        content was compared then, and serials are never used again."""
        if count == 0:
            return True
        if len(chain.serials) < count:
            return False
        entry = self._by_digest.get(chain.digests[count - 1])
        return entry is not None and entry.serial == chain.serials[count - 1]

    def _content(self, tokens: array[int], index: int) -> bytes:
        start = index * self.block_size
        return tokens[start : start + self.block_size].tobytes()

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
        """The block is about to get new content, or what it holds is not to be trusted."""
        digest = self._by_block.pop(block, None)
        if digest is not None:
            del self._by_digest[digest]
            self._listener.removed(digest)

    def clear(self) -> None:
        """Nothing is known any more. The listener is not told block by block: whoever wants this
        knows."""
        self._by_digest.clear()
        self._by_block.clear()

    def check(self) -> None:
        """Raises AssertionError unless both directions of the map agree (invariant I03)."""
        assert {digest: entry.block for digest, entry in self._by_digest.items()} == {
            digest: block for block, digest in self._by_block.items()
        }, "the prefix cache's two maps differ"
