"""What a balancing policy is told, and what it answers. Policies are pure and know no replica's
address: randomness and time come in as arguments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec


class ReplicaView(msgspec.Struct, frozen=True, kw_only=True):
    """One replica that may be picked, as the pool counts it at this moment."""

    replica_id: str
    prefill_rate: float = 1000.0
    """Prompt tokens a second, measured."""
    decode_rate: float = 100.0
    """New tokens a second over all sequences, measured."""
    queued_prefill_tokens: int = 0
    """Dispatched there and not computed yet, as far as known; cached ones not counted."""
    active_decode_tokens: int = 0
    """Expected new tokens of what runs there."""
    in_flight: int = 0
    """Requests dispatched there and not ended."""
    last_used: float = 0.0
    weight: float = 1.0
    """Below 1 while it is new or was unwell (slow start)."""


class BalanceRequest(msgspec.Struct, frozen=True, kw_only=True):
    num_prompt_tokens: int
    expected_output_tokens: int = 128
    block_size: int = 16
    digests: tuple[bytes, ...] = ()
    """Of the prompt's full blocks, each depending on all before it (kv/prefix_cache.py)."""
    session: str = ""
    """Empty: the client named none."""


class Balancer(Protocol):
    def pick(
        self, request: BalanceRequest, replicas: Sequence[ReplicaView], now: float
    ) -> ReplicaView:
        """One of `replicas`, which are never none."""
        ...

    def gone(self, replica_id: str) -> None:
        """The replica left or lost its cache: nothing learned about it holds."""
        ...
