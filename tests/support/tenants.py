"""Asks of tenants, and clients that spend without mercy."""

from __future__ import annotations

import asyncio
import itertools

from stoker.errors import BudgetExhausted, RateLimitExceeded, StorageUnavailable
from stoker.gateway.ledger import Ask, Ledger
from stoker.gateway.tenant import Tenant, TenantLimits
from stoker.gateway.usage import Price, Usage

PRICE = Price(input=1, cached_input=1, output=1)
_numbers = itertools.count()


def tenant(name: str = "a", **limits: int | str) -> Tenant:
    return Tenant(name=name, limits=TenantLimits(**limits))  # type: ignore[arg-type]


def ask(of: Tenant, tokens: int = 100, *, output: int | None = None, seconds: float = 600.0) -> Ask:
    return Ask(
        request_id=f"r{next(_numbers)}", tenant=of, key_id="k", model="m", price=PRICE,
        input_tokens=tokens, output_tokens=tokens if output is None else output, seconds=seconds,
    )  # fmt: skip


async def spend(ledger: Ledger, of: Tenant, tokens: int = 100) -> int:
    """One request that uses all it was granted. Returns what it cost."""
    grant = await ledger.reserve(ask(of, tokens))
    usage = Usage(input_tokens=tokens, output_tokens=grant.output_tokens)
    await asyncio.sleep(0)
    await ledger.settle(grant, usage, "stop")
    return usage.total_tokens


async def spend_all(ledgers: list[Ledger], of: Tenant, clients: int, tokens: int) -> int:
    """Clients at once, each asking until the budget is spent. Returns what all of them cost."""

    async def client(ledger: Ledger) -> int:
        spent = 0
        while True:
            try:
                spent += await spend(ledger, of, tokens)
            except BudgetExhausted:
                return spent
            except RateLimitExceeded:  # what is left is held by the others
                await asyncio.sleep(0.001)
            except StorageUnavailable:  # a busy machine: so many at once wait for a connection
                await asyncio.sleep(0.1)

    every = (client(ledgers[number % len(ledgers)]) for number in range(clients))
    return sum(await asyncio.gather(*every))
