"""Which replica has how much of a prompt's beginning cached, exactly: from the events of engines.

For each replica the blocks known here are closed under "comes after": a block counts only while
all before it do, as in the engines' caches. So along a prompt the set of replicas that hold a
block only shrinks, and halving finds where: some hundred lookups for thousands of blocks.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from stoker.gateway.balance.block_tree import BlockTree
from stoker.gateway.balance.replica_bits import ReplicaBits
from stoker.kv.block_hash import Digest


class CachedPrefixes(Protocol):
    """What a policy asks an index."""

    def depths(self, digests: Sequence[Digest]) -> Mapping[str, int]:
        """How many blocks from the beginning each replica holds; those with none are left out."""
        ...


class PrefixIndex:
    """Implements CachedPrefixes. Holds at most `max_blocks` of each replica, each in about 300
    bytes; what a replica reports beyond that is not believed."""

    def __init__(self, max_blocks: int) -> None:
        self._max_blocks = max_blocks
        self._bits = ReplicaBits()
        self._holders: dict[Digest, int] = {}
        self._tree = BlockTree()
        self._held: dict[str, set[Digest]] = {}

    def __len__(self) -> int:
        return len(self._holders)

    def depths(self, digests: Sequence[Digest]) -> dict[str, int]:
        found: dict[str, int] = {}
        holders = self._holders.get
        position, replicas = 0, holders(digests[0], 0) if digests else 0
        while replicas:
            position = self._end_of(replicas, digests, position)
            remaining = holders(digests[position], 0) if position < len(digests) else 0
            for name in self._bits.names(replicas & ~remaining):
                found[name] = position
            replicas &= remaining
        return found

    def _end_of(self, replicas: int, digests: Sequence[Digest], start: int) -> int:
        """The first position from `start` on that not all of `replicas` hold."""
        holders = self._holders.get

        def lacking(digest: Digest) -> bool:
            return holders(digest, 0) & replicas != replicas

        return bisect_left(digests, True, lo=start, key=lacking)

    def stored(self, replica_id: str, parent: Digest, digests: Iterable[Digest]) -> None:
        """Blocks that come after `parent` and each other; without a parent they begin a prompt.
        What comes after a block that is not known here could never be found: it is left out."""
        bit = self._bits.of(replica_id)
        held = self._held.setdefault(replica_id, set())
        for digest in digests:
            if (parent and parent not in held) or len(held) >= self._max_blocks:
                return
            holders = self._holders.get(digest, 0)
            if not holders:
                self._tree.add(parent, digest)
            self._holders[digest] = holders | bit
            held.add(digest)
            parent = digest

    def removed(self, replica_id: str, digests: Iterable[Digest]) -> None:
        """They, and all that come after them."""
        held = self._held.get(replica_id, set())
        doomed = [digest for digest in digests if digest in held]
        while doomed:
            digest = doomed.pop()
            if digest in held:
                doomed += (child for child in self._tree.children(digest) if child in held)
                held.discard(digest)
                self._forget(digest, self._bits.of(replica_id))

    def _forget(self, digest: Digest, bit: int) -> None:
        holders = self._holders[digest] & ~bit
        if holders:
            self._holders[digest] = holders
        else:
            del self._holders[digest]
            self._tree.remove(digest)

    def gone(self, replica_id: str) -> None:
        """It left, or lost all it had cached."""
        bit = self._bits.release(replica_id)
        for digest in self._held.pop(replica_id, ()):
            self._forget(digest, bit)
