"""One request as reports and bills see it. Never what was asked or answered."""

from __future__ import annotations

import msgspec

from stoker.gateway.ledger import Grant
from stoker.gateway.limits import worst_usage
from stoker.gateway.usage import Usage

EXPIRED = "reservation_expired"
"""The outcome of what nobody settled."""


class UsageRecord(msgspec.Struct, frozen=True, kw_only=True):
    reservation: str
    """No two records have the same."""
    request_id: str
    ended: float
    """Unix seconds."""
    tenant: str
    key_id: str
    model: str
    backend: str
    """Empty: ours."""
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    cost: int
    """In billionths of the currency."""
    outcome: str
    """A finish reason or an error's code."""


def record_of(grant: Grant, usage: Usage, outcome: str, ended: float) -> UsageRecord:
    ask = grant.ask
    return UsageRecord(
        reservation=grant.reservation,
        request_id=ask.request_id,
        ended=ended,
        tenant=ask.tenant.name,
        key_id=ask.key_id,
        model=ask.model,
        backend=ask.backend,
        input_tokens=usage.input_tokens,
        cached_tokens=usage.cached_tokens,
        output_tokens=usage.output_tokens,
        cost=ask.price.cost(usage),
        outcome=outcome,
    )


def worst_record(grant: Grant, ended: float) -> UsageRecord:
    """Of a reservation that nobody settled."""
    record = record_of(grant, worst_usage(grant), EXPIRED, ended)
    ask = grant.ask
    worst = ask.price.worst(ask.input_tokens, grant.output_tokens)
    return msgspec.structs.replace(record, cost=worst)
