"""Where the first token comes soonest, cached prompts and queues considered.

Looking for the longest cached beginning alone sends everybody to one replica as soon as prompts
begin alike; looking at load alone computes each conversation again and again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from stoker.gateway.balance.interface import BalanceRequest, ReplicaView
from stoker.gateway.balance.prefix_index import CachedPrefixes
from stoker.gateway.balance.recent_work import RecentWork
from stoker.gateway.balance.work import LEAST_WEIGHT, seconds_of_work

CACHED_WORTH = 4.0
"""What a second of prefill that need not be done counts beside a second of this request's own
waiting: those who come after wait less, too. Chosen with benchmarks/balance.py."""
PATIENCE = 0.75
"""Of the time a whole prompt takes: nobody waits longer than that for what is cached of it."""
RECENT_WORTH = 0.03
"""What a second of work given lately counts."""
SAME_RATE = 0.25
"""Rates that differ by a smaller share are the same: measuring is no more exact."""
TIE_SECONDS = 0.001
"""Costs that differ by less are the same."""


class _Offer(NamedTuple):
    """What a request would meet at a replica, in seconds."""

    wait: float
    prefill: float
    replica: ReplicaView

    @property
    def first_token(self) -> float:
        return self.wait + self.prefill


class CostBalancer:
    """Implements Balancer.

    Replicas where the first token comes little later than at the soonest, by `affinity_seconds` at
    most, are compared by wait and, counted several times, by what they have not cached. Beginnings
    that more than half of the replicas hold count as held by all, so that a new replica gets its
    share. A share of requests, `exploration`, goes to the one of them not used for longest.
    """

    def __init__(
        self,
        cached: CachedPrefixes,
        random: Callable[[], float],
        *,
        affinity_seconds: float = 2.0,
        exploration: float = 0.01,
    ) -> None:
        """`random` gives numbers from 0 up to 1."""
        self._cached = cached
        self._random = random
        self._affinity_seconds = affinity_seconds
        self._exploration = exploration
        self._recent = RecentWork()

    def pick(
        self, request: BalanceRequest, replicas: Sequence[ReplicaView], now: float
    ) -> ReplicaView:
        offers = self._offers(request, replicas)
        soonest = min(offers, key=lambda offer: offer.first_token)
        whole = request.num_prompt_tokens / soonest.replica.prefill_rate
        latest = soonest.first_token + min(self._affinity_seconds, PATIENCE * whole)
        near = [offer for offer in offers if offer.first_token <= latest]
        if len(near) > 1 and self._random() < self._exploration:
            chosen = min(near, key=lambda offer: offer.replica.last_used)
        else:
            chosen = min(near, key=lambda offer: self._rank(offer, now))
        self._recent.add(chosen.replica.replica_id, chosen.prefill, now)
        return chosen.replica

    def gone(self, replica_id: str) -> None:
        """The index is told by whoever feeds it."""
        self._recent.gone(replica_id)

    def _rank(self, offer: _Offer, now: float) -> tuple[float, int, float]:
        replica = offer.replica
        recent = self._recent.of(replica.replica_id, now)
        cost = offer.wait + CACHED_WORTH * offer.prefill + RECENT_WORTH * recent
        return cost // TIE_SECONDS, replica.in_flight, replica.last_used

    def _offers(self, request: BalanceRequest, replicas: Sequence[ReplicaView]) -> list[_Offer]:
        depths = self._cached.depths(request.digests)
        common = _common(depths, replicas)
        usual = sorted(replica.prefill_rate for replica in replicas)[len(replicas) // 2]
        offers = []
        for replica in replicas:
            cached = max(common, depths.get(replica.replica_id, 0)) * request.block_size
            uncached = max(1, request.num_prompt_tokens - cached)
            alike = abs(replica.prefill_rate - usual) < SAME_RATE * usual
            rate = usual if alike else replica.prefill_rate
            rate *= max(replica.weight, LEAST_WEIGHT)
            offers.append(_Offer(seconds_of_work(replica), uncached / rate, replica))
        return offers


def _common(depths: Mapping[str, int], replicas: Sequence[ReplicaView]) -> int:
    """Blocks that more than half of the replicas hold."""
    if 2 * len(depths) <= len(replicas):
        return 0
    each = sorted((depths.get(replica.replica_id, 0) for replica in replicas), reverse=True)
    return each[len(replicas) // 2]
