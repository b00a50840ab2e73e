"""The better of two replicas drawn at random: nearly as even as looking at all of them, and it
does not send everybody to the same one when what is known of loads is old (Mitzenmacher, 2001)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from stoker.gateway.balance.interface import BalanceRequest, ReplicaView
from stoker.gateway.balance.least_loaded import load


class TwoChoices:
    """Implements Balancer. `random` gives numbers from 0 up to 1."""

    def __init__(self, random: Callable[[], float]) -> None:
        self._random = random

    def pick(
        self, request: BalanceRequest, replicas: Sequence[ReplicaView], now: float
    ) -> ReplicaView:
        count = len(replicas)
        first = int(self._random() * count)
        if count == 1:
            return replicas[first]
        second = (first + 1 + int(self._random() * (count - 1))) % count
        return min(replicas[first], replicas[second], key=load)

    def gone(self, replica_id: str) -> None:
        """Nothing is remembered."""
