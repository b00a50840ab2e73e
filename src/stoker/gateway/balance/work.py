"""How much there is to do at a replica, in seconds."""

from __future__ import annotations

from stoker.gateway.balance.interface import ReplicaView

DECODE_SHARE = 0.25
"""How much of the time that running requests will still decode a new prompt feels: they share
steps, so it does not wait for them to end."""
LEAST_WEIGHT = 0.01


def seconds_of_work(replica: ReplicaView) -> float:
    """What a new request there meets: prompts before it, and requests it shares steps with."""
    prefill = replica.queued_prefill_tokens / replica.prefill_rate
    decode = DECODE_SHARE * replica.active_decode_tokens / replica.decode_rate
    return (prefill + decode) / max(replica.weight, LEAST_WEIGHT)
