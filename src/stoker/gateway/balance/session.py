"""A client's session stays with a replica, if the client names one."""

from __future__ import annotations

from collections.abc import Sequence

from stoker.gateway.balance.consistent_hash import first_with_room
from stoker.gateway.balance.interface import Balancer, BalanceRequest, ReplicaView


class SessionAffinity:
    """Implements Balancer. A session moves on while its replica has more than its share; `others`
    picks for requests without one."""

    def __init__(self, others: Balancer) -> None:
        self._others = others

    def pick(
        self, request: BalanceRequest, replicas: Sequence[ReplicaView], now: float
    ) -> ReplicaView:
        if not request.session:
            return self._others.pick(request, replicas, now)
        return first_with_room(request.session.encode(), replicas)

    def gone(self, replica_id: str) -> None:
        self._others.gone(replica_id)
