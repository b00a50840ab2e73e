"""Which KV blocks are in use, by how many, and which free one is reused next."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable

from stoker.core.ids import BlockId


class BlockPool:
    """Reference counts over a fixed number of blocks.

    A block with no references is free but keeps its content until it is handed out again, so a
    prefix cache may still point to it. Free blocks are handed out in eviction order: blocks that
    were never worth keeping first, then the least recently released.
    """

    def __init__(self, num_blocks: int, on_reuse: Callable[[BlockId], None]) -> None:
        """`on_reuse` is told when a free block is about to get new content."""
        self.num_blocks = num_blocks
        self._references = [0] * num_blocks
        self._free: OrderedDict[BlockId, None] = OrderedDict.fromkeys(
            map(BlockId, range(num_blocks))
        )
        self._on_reuse = on_reuse

    @property
    def num_free(self) -> int:
        return len(self._free)

    @property
    def num_used(self) -> int:
        return self.num_blocks - len(self._free)

    def references(self, block: BlockId) -> int:
        return self._references[block]

    def allocate(self, count: int) -> list[BlockId]:
        """`count` blocks with one reference each. The caller checked `num_free`."""
        if count > len(self._free):
            raise ValueError(f"{count} blocks wanted, {len(self._free)} are free")
        blocks = []
        for _ in range(count):
            block, _none = self._free.popitem(last=False)
            self._on_reuse(block)
            self._references[block] = 1
            blocks.append(block)
        return blocks

    def share(self, block: BlockId) -> None:
        """Adds a reference to a block that is in use, or free and still holding its content."""
        if self._references[block] == 0:
            del self._free[block]
        self._references[block] += 1

    def release(self, blocks: Iterable[BlockId], keeps: Callable[[BlockId], bool]) -> None:
        """Drops one reference of each, last block first, so that a shared prefix outlives tails.

        `keeps` says whether a block's content is worth keeping; others are reused first.
        """
        for block in reversed(list(blocks)):
            if self._references[block] == 0:
                raise ValueError(f"block {block} is released more often than it was taken")
            self._references[block] -= 1
            if self._references[block] == 0:
                self._free[block] = None
                if not keeps(block):
                    self._free.move_to_end(block, last=False)

    def check(self, holders: Iterable[Iterable[BlockId]]) -> None:
        """Raises AssertionError unless counts equal the number of tables holding each block, and
        free and used blocks add up (invariants I02 and I03)."""
        counts = [0] * self.num_blocks
        for table in holders:
            for block in table:
                counts[block] += 1
        assert counts == self._references, "reference counts differ from the block tables"
        free = {block for block, count in enumerate(counts) if count == 0}
        assert free == set(self._free), "the free list differs from the unreferenced blocks"
