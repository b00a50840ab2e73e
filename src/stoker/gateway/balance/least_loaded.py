"""To the replica with the least work, whatever it has cached."""

from __future__ import annotations

from collections.abc import Sequence

from stoker.gateway.balance.interface import BalanceRequest, ReplicaView
from stoker.gateway.balance.work import seconds_of_work


def load(replica: ReplicaView) -> tuple[float, int, float]:
    """Less is better: work, then requests, then how recently it was used."""
    return seconds_of_work(replica), replica.in_flight, replica.last_used


class LeastLoaded:
    """Implements Balancer."""

    def pick(
        self, request: BalanceRequest, replicas: Sequence[ReplicaView], now: float
    ) -> ReplicaView:
        return min(replicas, key=load)

    def gone(self, replica_id: str) -> None:
        """Nothing is remembered."""
