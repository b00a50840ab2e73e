"""Which replica probably has how much of a prompt's beginning cached, where engines do not say: a
replica that was sent a prompt is taken to keep it until much else was sent.

A name of a block stands for all before it. So of a long prompt it is enough to remember some
blocks: the first ones all, later ones ever fewer, so that the answer is at most a sixteenth short.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from stoker.gateway.balance.replica_bits import ReplicaBits
from stoker.kv.block_hash import Digest

ENTRY_BYTES = 256
"""What one remembered block takes, measured, with up to some hundred replicas."""
FINEST = 16
"""So many first blocks are all remembered, and later ones at steps of this share."""


class ApproximateIndex:
    """Implements CachedPrefixes within `max_bytes`; what was sent longest ago is forgotten
    first."""

    def __init__(self, max_bytes: int = 64 << 20) -> None:
        self._max_entries = max(1, max_bytes // ENTRY_BYTES)
        self._bits = ReplicaBits()
        self._holders: OrderedDict[Digest, int] = OrderedDict()

    def __len__(self) -> int:
        return len(self._holders)

    def depths(self, digests: Sequence[Digest]) -> dict[str, int]:
        found: dict[str, int] = {}
        replicas = -1
        depth = 0
        for position in milestones(len(digests)):
            remaining = replicas & self._holders.get(digests[position], 0)
            if depth and remaining != replicas:
                for name in self._bits.names(replicas & ~remaining):
                    found[name] = depth
            if not remaining:
                return found
            replicas, depth = remaining, position + 1
        return found | dict.fromkeys(self._bits.names(replicas), depth) if depth else found

    def sent(self, replica_id: str, digests: Sequence[Digest]) -> None:
        """A prompt was dispatched there."""
        bit = self._bits.of(replica_id)
        for position in reversed(milestones(len(digests))):  # a beginning outlives what follows
            digest = digests[position]
            self._holders[digest] = self._holders.get(digest, 0) | bit
            self._holders.move_to_end(digest)
        while len(self._holders) > self._max_entries:
            self._holders.popitem(last=False)

    def gone(self, replica_id: str) -> None:
        """It left, or lost all it had cached."""
        bit = self._bits.release(replica_id)
        for digest, replicas in list(self._holders.items()):
            if replicas == bit:
                del self._holders[digest]
            else:
                self._holders[digest] = replicas & ~bit


def milestones(length: int) -> list[int]:
    """The positions of a prompt of `length` blocks that are remembered, ascending."""
    positions = []
    position = 0
    while position < length:
        positions.append(position)
        position += max(1, position // FINEST)
    return positions
