"""The replica with the fewest requests; among equals, the one that was left alone longest."""

from __future__ import annotations

from collections.abc import Sequence

from stoker.gateway.balance.interface import BalanceRequest, ReplicaView


class LeastLoaded:
    """Unequal replicas are compared by what they have for their rate."""

    def pick(
        self, request: BalanceRequest, replicas: Sequence[ReplicaView], now: float
    ) -> ReplicaView:
        return min(replicas, key=lambda one: (one.in_flight / one.weight, one.last_used))

    def gone(self, replica_id: str) -> None:
        return None
