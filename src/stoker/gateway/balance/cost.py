"""Where the first token comes soonest, cached prompts and queues considered.

Looking for the longest cached beginning alone sends everybody to one replica as soon as prompts
begin alike; looking at load alone computes each conversation again and again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from stoker.gateway.balance.interface import BalanceRequest, ReplicaView
from stoker.gateway.balance.prefix_index import CachedPrefixes
from stoker.gateway.balance.work import LEAST_WEIGHT, seconds_of_work

TIE_SECONDS = 0.001
"""Costs that differ by less are the same."""

Random = Callable[[], float]
"""Numbers from 0 up to 1."""


class CostBalancer:
    """Implements Balancer.

    The cost of a replica is the time until it can begin plus the time for what it has not cached.
    Beginnings that more than half of the replicas hold count as held by all, so that a new replica
    gets its share. Nobody waits over `affinity_seconds` longer than where there is least to do. Of
    `exploration`, a share of all requests, each goes to the replica that was not used for longest.
    """

    def __init__(
        self,
        cached: CachedPrefixes,
        random: Random,
        *,
        affinity_seconds: float = 2.0,
        exploration: float = 0.01,
    ) -> None:
        self._cached = cached
        self._random = random
        self._affinity_seconds = affinity_seconds
        self._exploration = exploration

    def pick(
        self, request: BalanceRequest, replicas: Sequence[ReplicaView], now: float
    ) -> ReplicaView:
        waits = [seconds_of_work(replica) for replica in replicas]
        longest = min(waits) + self._affinity_seconds
        near = [pair for pair in zip(replicas, waits, strict=True) if pair[1] <= longest]
        if len(near) > 1 and self._random() < self._exploration:
            return min((replica for replica, _ in near), key=lambda replica: replica.last_used)
        held = self._held(request, replicas)
        missing = request.num_prompt_tokens
        best, best_rank = near[0][0], (float("inf"), 0, 0.0)
        for replica, wait in near:
            uncached = missing - held.get(replica.replica_id, held[""])
            prefill = uncached / (replica.prefill_rate * max(replica.weight, LEAST_WEIGHT))
            cost = (wait + prefill) // TIE_SECONDS
            rank = (cost, replica.in_flight, replica.last_used)
            if rank < best_rank:
                best, best_rank = replica, rank
        return best

    def gone(self, replica_id: str) -> None:
        """The index is told by whoever feeds it."""

    def _held(self, request: BalanceRequest, replicas: Sequence[ReplicaView]) -> Mapping[str, int]:
        """Prompt tokens that are cached, by replica; under the empty name, those of every other."""
        depths = self._cached.depths(request.digests)
        common = _common(depths, replicas)
        held = {name: max(depth, common) * request.block_size for name, depth in depths.items()}
        held[""] = common * request.block_size
        return held


def _common(depths: Mapping[str, int], replicas: Sequence[ReplicaView]) -> int:
    """Blocks that more than half of the replicas hold."""
    if 2 * len(depths) <= len(replicas):
        return 0
    each = sorted((depths.get(replica.replica_id, 0) for replica in replicas), reverse=True)
    return each[len(replicas) // 2]
