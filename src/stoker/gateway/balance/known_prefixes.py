"""What is known of all replicas' caches: exactly of those that report, guessed of the others."""

from __future__ import annotations

from collections.abc import Sequence

from stoker.engine.interface import BlockEvent, BlockListener
from stoker.gateway.balance.approximate_index import ApproximateIndex
from stoker.gateway.balance.prefix_index import PrefixIndex
from stoker.kv.block_hash import Digest


class KnownPrefixes:
    """Implements CachedPrefixes."""

    def __init__(self, exact: PrefixIndex, guessed: ApproximateIndex) -> None:
        self._exact = exact
        self._guessed = guessed
        self._reporting: set[str] = set()

    def depths(self, digests: Sequence[Digest]) -> dict[str, int]:
        return self._guessed.depths(digests) | self._exact.depths(digests)

    def listener(self, replica_id: str) -> BlockListener:
        """For a replica that may report. From its first report on nothing is guessed about it."""
        return _Listener(self, replica_id)

    def changed(self, replica_id: str, events: Sequence[BlockEvent]) -> None:
        if replica_id not in self._reporting:
            self._reporting.add(replica_id)
            self._guessed.gone(replica_id)
        for event in events:
            self._exact.removed(replica_id, event.removed)
            self._exact.stored(replica_id, event.parent, event.stored)

    def lost(self, replica_id: str) -> None:
        """What it had cached, but not the replica."""
        self._exact.gone(replica_id)
        self._guessed.gone(replica_id)

    def sent(self, replica_id: str, digests: Sequence[Digest]) -> None:
        """A prompt was dispatched there."""
        if replica_id not in self._reporting:
            self._guessed.sent(replica_id, digests)

    def gone(self, replica_id: str) -> None:
        """It left for good."""
        self._reporting.discard(replica_id)
        self.lost(replica_id)


class _Listener:
    def __init__(self, known: KnownPrefixes, replica_id: str) -> None:
        self._known = known
        self._replica_id = replica_id

    def changed(self, events: Sequence[BlockEvent]) -> None:
        self._known.changed(self._replica_id, events)

    def lost(self) -> None:
        self._known.lost(self._replica_id)
