"""The two halves of a ledger: who decides, and who remembers.

Both raise StorageUnavailable when what they depend on does not answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

import msgspec

from stoker.gateway.ledger import Ask, Grant
from stoker.gateway.tenant import Tenant
from stoker.gateway.usage import Usage
from stoker.gateway.usage_record import UsageRecord

Keep = Callable[[UsageRecord], None]
"""Takes the record of a reservation that ran out."""


class Limiter(Protocol):
    async def reserve(self, ask: Ask) -> Grant:
        """As Ledger.reserve. A caller that is cancelled meanwhile has reserved nothing."""
        ...

    async def settle(self, grant: Grant, usage: Usage) -> bool:
        """False: it was settled before, or ran out. Never raises for a store that is away: what it
        has to know is told to it later."""
        ...

    def update(self, tenants: Iterable[Tenant]) -> None:
        """The tenants have changed. Raises ConfigError for what cannot be kept."""
        ...

    async def close(self) -> None: ...


class UsageQuestion(msgspec.Struct, frozen=True, kw_only=True):
    groups: tuple[str, ...] = ("tenant",)
    """What sums are by, in this order; see usage_report.py."""
    tenant: str | None = None
    """Only this one."""
    since: float = 0.0
    """Unix seconds, rounded down to the hour."""


class UsageLine(msgspec.Struct, frozen=True, kw_only=True):
    group: tuple[str, ...]
    requests: int
    failed: int
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    cost: int
    """In billionths of the currency."""


class UsageStore(Protocol):
    async def write(self, records: Sequence[UsageRecord]) -> None:
        """All or nothing, and durable when it returns. Records known already are left out."""
        ...

    async def report(self, question: UsageQuestion) -> list[UsageLine]: ...

    async def close(self) -> None: ...


class Funds(Protocol):
    """Money that is written off before it is spent, so that no crash can spend it twice."""

    async def draw(self, tenant: str, window: str, most: int, limit: int) -> int:
        """Writes off up to `most`, as far as no more than `limit` is written off in that window by
        everybody together. Returns how much; it is durable by then."""
        ...

    async def give_back(self, tenant: str, window: str, amount: int) -> None: ...
