"""Why a tenant's request is refused, and how the client is told."""

from __future__ import annotations

import enum

from stoker.errors import BudgetExhausted, RateLimitExceeded, StokerError
from stoker.gateway.ledger import Ask

SOON = 1.0
"""Seconds after which to ask again where it depends on when others end."""


class Refusal(enum.Enum):
    CONCURRENCY = "concurrency"
    REQUESTS = "requests"
    """Of the minute."""
    TOKENS = "tokens"
    """Of the minute."""
    TOO_LONG = "too_long"
    """More than a whole minute's tokens."""
    HELD = "held"
    """What is left of the budget is held by requests that run, and some of it will come back."""
    BUDGET = "budget"


def error_of(refusal: Refusal, ask: Ask, retry_after: float | None = None) -> StokerError:
    """`retry_after` is in seconds."""
    limits = ask.tenant.limits
    if refusal is Refusal.BUDGET:
        return BudgetExhausted("the budget of this tenant does not pay for this request")
    if refusal is Refusal.TOO_LONG:
        return RateLimitExceeded(
            f"the request is longer than the {limits.tokens_per_minute} tokens of a minute",
            hint="Send a shorter prompt or ask for fewer tokens; waiting does not help.",
            retry_after=retry_after,
        )
    messages = {
        Refusal.CONCURRENCY: f"{limits.concurrency} requests of this tenant are running already",
        Refusal.REQUESTS: f"the limit is {limits.requests_per_minute} requests a minute",
        Refusal.TOKENS: f"the limit is {limits.tokens_per_minute} tokens a minute",
        Refusal.HELD: "requests that are running hold what is left of this tenant's budget",
    }
    return RateLimitExceeded(messages[refusal], retry_after=retry_after)
