"""A request that waits for its turn: whose it is, how much work it is, and when it must start."""

from __future__ import annotations

import math

import msgspec

from stoker.gateway.tenant import Band
from stoker.gateway.usage import Usage
from stoker.scheduler.fairness import INPUT_WEIGHT, OUTPUT_WEIGHT

CACHED_INPUT_WEIGHT = 0.1


def work_units(usage: Usage) -> float:
    """What tenants are charged and queues are measured in: about one prompt token's work each.

    A new token counts twice, as inside the engine; a cached one hardly (DESIGN §5).
    """
    fresh = usage.input_tokens - usage.cached_tokens
    return (
        INPUT_WEIGHT * fresh
        + CACHED_INPUT_WEIGHT * usage.cached_tokens
        + OUTPUT_WEIGHT * usage.output_tokens
    )


class Entry(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    request_id: str
    tenant: str = ""
    weight: float = 1.0
    """The tenant's share beside others with work waiting."""
    band: Band = Band.STANDARD
    expected: Usage
    """All of the prompt, how much of it is probably cached, and the new tokens there may be."""
    sequences: int = 1
    """Places it takes: a request for several answers is computed as several."""
    price_ratio: float = 1.0
    """How much dearer its model's tokens are than those of the others in the same line."""
    arrival: float
    deadline: float = math.inf
    """On the clock of `arrival`: after it nobody wants the answer."""

    @property
    def units(self) -> float:
        return self.price_ratio * work_units(self.expected)

    @property
    def tokens(self) -> int:
        """Memory it may come to hold, cached or not."""
        return self.expected.input_tokens + self.expected.output_tokens
