"""One request as reports and bills see it. Never what was asked or answered."""

from __future__ import annotations

import msgspec

from stoker.gateway.ledger import Grant
from stoker.gateway.usage import Usage


class UsageRecord(msgspec.Struct, frozen=True, kw_only=True):
    request_id: str
    ended: float
    """Unix seconds."""
    tenant: str
    key_id: str
    model: str
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    cost: int
    """In billionths of the currency."""
    outcome: str
    """A finish reason or an error's code."""


def record_of(grant: Grant, usage: Usage, cost: int, outcome: str, ended: float) -> UsageRecord:
    return UsageRecord(
        request_id=grant.ask.request_id,
        ended=ended,
        tenant=grant.ask.tenant.name,
        key_id=grant.ask.key_id,
        model=grant.ask.model,
        input_tokens=usage.input_tokens,
        cached_tokens=usage.cached_tokens,
        output_tokens=usage.output_tokens,
        cost=cost,
        outcome=outcome,
    )
