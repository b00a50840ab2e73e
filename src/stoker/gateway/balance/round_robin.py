"""Each in turn, whatever they have to do."""

from __future__ import annotations

from collections.abc import Sequence

from stoker.gateway.balance.interface import BalanceRequest, ReplicaView


class RoundRobin:
    """Implements Balancer. The turn follows names, so that it survives replicas that come and
    go."""

    def __init__(self) -> None:
        self._last = ""

    def pick(
        self, request: BalanceRequest, replicas: Sequence[ReplicaView], now: float
    ) -> ReplicaView:
        after = [replica for replica in replicas if replica.replica_id > self._last]
        chosen = min(after or replicas, key=lambda replica: replica.replica_id)
        self._last = chosen.replica_id
        return chosen

    def gone(self, replica_id: str) -> None:
        """Its turn goes to the next."""
