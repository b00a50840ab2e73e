"""Sets of replicas as the bits of an integer: an index has one such set for every block."""

from __future__ import annotations

from collections.abc import Iterator


class ReplicaBits:
    """One bit for each replica there is. The bit of one that left is used again."""

    def __init__(self) -> None:
        self._bits: dict[str, int] = {}
        self._names: dict[int, str] = {}

    def of(self, replica_id: str) -> int:
        bit = self._bits.get(replica_id)
        if bit is None:
            bit = next(bit for bit in _powers() if bit not in self._names)
            self._bits[replica_id] = bit
            self._names[bit] = replica_id
        return bit

    def release(self, replica_id: str) -> int:
        """Its bit, which no set may have from now on; 0 if it had none."""
        bit = self._bits.pop(replica_id, 0)
        self._names.pop(bit, None)
        return bit

    def names(self, replicas: int) -> Iterator[str]:
        """Of those in a set."""
        while replicas:
            bit = replicas & -replicas
            yield self._names[bit]
            replicas ^= bit


def _powers() -> Iterator[int]:
    bit = 1
    while True:
        yield bit
        bit <<= 1
