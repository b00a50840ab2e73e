"""Limits and budgets: reserve the worst case before a request starts, settle the truth after.

Reserving is one atomic operation over requests, tokens, concurrency and money, so that no number
of clients at once can exceed any of them by one token.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

import msgspec

from stoker.gateway.tenant import Tenant
from stoker.gateway.usage import Price, Usage


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """What a request may come to use."""

    request_id: str
    tenant: Tenant
    key_id: str = ""
    model: str
    backend: str = ""
    """Who is to answer; empty: we do."""
    price: Price = Price()
    requests: int = 1
    """What it counts for in its tenant's minute; 0: an earlier try of it counts already."""
    input_tokens: int
    output_tokens: int
    """The most that are wanted."""
    seconds: float
    """After which the request has certainly ended: a reservation nobody settles, because its front
    died, is then settled at its worst case."""


class Grant(msgspec.Struct, frozen=True, kw_only=True):
    ask: Ask
    output_tokens: int
    """The most the request may produce: what was asked, or what the budget and the minute's tokens
    have left for it."""
    reservation: str = ""
    """Unlike any other's, also where one request reserves several times."""


class Ledger(Protocol):
    async def reserve(self, ask: Ask) -> Grant:
        """Raises RateLimitExceeded, with the seconds after which it may work; BudgetExhausted when
        the window's money does not pay even for the prompt and one token; StorageUnavailable when
        nobody can say whether it does."""
        ...

    async def settle(self, grant: Grant, usage: Usage, outcome: str) -> None:
        """Replaces what was reserved by what was used, and records it. `outcome` is a finish reason
        or an error's code. Settling a second time changes nothing."""
        ...

    def update(self, tenants: Iterable[Tenant]) -> None:
        """New limits; what was used stays counted."""
        ...

    async def close(self) -> None:
        """Everything settled is on disk when it returns."""
        ...


class NoLimits:
    """The ledger of a server without tenants: grants everything and keeps nothing."""

    async def reserve(self, ask: Ask) -> Grant:
        return Grant(ask=ask, output_tokens=ask.output_tokens)

    async def settle(self, grant: Grant, usage: Usage, outcome: str) -> None:
        return None

    def update(self, tenants: Iterable[Tenant]) -> None:
        return None

    async def close(self) -> None:
        return None
