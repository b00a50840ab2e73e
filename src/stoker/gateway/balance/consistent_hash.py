"""The same beginning to the same replica, as long as that one has no more than its share.

Replicas are ranked for a key by a hash of both (rendezvous hashing), so that one that comes or
goes moves only its own keys. The first in that order that has room takes the request (consistent
hashing with bounded loads, Mirrokni, Thorup and Zadimoghaddam, 2018).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from hashlib import blake2b

from stoker.gateway.balance.interface import BalanceRequest, ReplicaView
from stoker.gateway.balance.least_loaded import load

BEGINNING_TOKENS = 1024
"""Prompts that begin alike for so long are taken to belong together."""
LOAD_FACTOR = 1.25
"""Times the mean of requests in flight that a replica may have before keys go past it."""


class ConsistentHash:
    """Implements Balancer. A prompt without a full block goes where there is least to do."""

    def __init__(
        self, *, beginning_tokens: int = BEGINNING_TOKENS, load_factor: float = LOAD_FACTOR
    ) -> None:
        self._beginning_tokens = beginning_tokens
        self._load_factor = load_factor

    def pick(
        self, request: BalanceRequest, replicas: Sequence[ReplicaView], now: float
    ) -> ReplicaView:
        if not request.digests:
            return min(replicas, key=load)
        blocks = max(1, self._beginning_tokens // request.block_size)
        key = request.digests[min(blocks, len(request.digests)) - 1]
        return first_with_room(key, replicas, self._load_factor)

    def gone(self, replica_id: str) -> None:
        """Nothing is remembered."""


def first_with_room(
    key: bytes, replicas: Sequence[ReplicaView], load_factor: float = LOAD_FACTOR
) -> ReplicaView:
    """There always is one: not all can have more than the mean. Shares follow weights."""
    total = 1 + sum(replica.in_flight for replica in replicas)
    weights = sum(replica.weight for replica in replicas)
    for replica in sorted(replicas, key=lambda replica: _rank(key, replica.replica_id)):
        share = replica.weight / weights if weights else 1 / len(replicas)
        if math.isinf(load_factor) or replica.in_flight < math.ceil(load_factor * total * share):
            return replica
    return min(replicas, key=load)


def _rank(key: bytes, replica_id: str) -> bytes:
    return blake2b(key + b"/" + replica_id.encode(), digest_size=8).digest()
