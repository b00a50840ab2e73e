"""Usage, limits and money in PostgreSQL, for several fronts: one call of a function reserves."""

from __future__ import annotations

import importlib.resources
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, TypeVar

import asyncpg
import msgspec

from stoker.config.redaction import without_password
from stoker.errors import SetupError, StorageUnavailable
from stoker.gateway.limits import LEAST_TOKENS
from stoker.gateway.stores.interface import UsageLine, UsageQuestion
from stoker.gateway.stores.remote import Order, Settlement, Verdict
from stoker.gateway.stores.usage_file import ENDED_WELL, KEEP_SECONDS
from stoker.gateway.stores.usage_report import HOUR, line_of, query
from stoker.gateway.tenant import Tenant
from stoker.gateway.usage_record import UsageRecord

Result = TypeVar("Result")

log = logging.getLogger(__name__)

VERSION = 1
CONNECTIONS = 16
ANSWER_SECONDS = 5.0
SET_UP_LOCK = 0x73746F6B6572
"""Of the database, so that one of several fronts that start together makes the tables."""
FAILURES = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError)


class PostgresqlStore:
    """Implements UsageStore, and gives SharedLimits over the same connections. `open` makes one."""

    def __init__(self, pool: Any) -> None:
        self._pool = pool

    @classmethod
    async def open(cls, url: str) -> PostgresqlStore:
        """Makes the tables when there are none. Raises SetupError."""
        pool = None
        try:
            pool = await asyncpg.create_pool(
                url, min_size=1, max_size=CONNECTIONS,
                timeout=ANSWER_SECONDS, command_timeout=ANSWER_SECONDS,
            )  # fmt: skip
            async with pool.acquire() as connection, connection.transaction():
                await _set_up(connection)
        except (*FAILURES, ValueError) as error:
            if pool is not None:
                await pool.close()
            raise SetupError(
                f"the database at {without_password(url)} cannot be used: {error}",
                hint="Start it, or correct store.url.",
            ) from None
        return cls(pool)

    def limits(self) -> PostgresqlLimits:
        return PostgresqlLimits(self)

    async def write(self, records: Sequence[UsageRecord]) -> None:
        await self.call(lambda connection: _write(connection, records))

    async def report(self, question: UsageQuestion) -> list[UsageLine]:
        text, values = query("stoker.hourly", question)
        for number in range(1, len(values) + 1):
            text = text.replace("?", f"${number}", 1)
        rows = await self.call(lambda connection: connection.fetch(text, *values))
        return [line_of(tuple(row), question.groups) for row in rows]

    async def close(self) -> None:
        """Safe to call twice."""
        await self._pool.close()

    async def call(self, work: Callable[[Any], Awaitable[Result]]) -> Result:
        """In a transaction. Raises StorageUnavailable."""
        try:
            async with (
                self._pool.acquire(timeout=ANSWER_SECONDS) as connection,
                connection.transaction(),
            ):
                return await work(connection)
        except FAILURES as error:
            log.error("the database: %s", error or type(error).__name__)
            raise StorageUnavailable("the database does not answer", retry_after=1.0) from None


class PostgresqlLimits:
    """Implements SharedLimits."""

    def __init__(self, store: PostgresqlStore) -> None:
        self._store = store

    async def reserve(self, order: Order) -> Verdict:
        ask, limits, price = order.ask, order.ask.tenant.limits, order.ask.price
        values = (
            order.reservation, ask.tenant.name, order.window, order.wall, ask.seconds,
            limits.concurrency, limits.requests_per_minute, limits.tokens_per_minute,
            limits.budget if price.worst(1, 1) else 0,
            ask.input_tokens, ask.output_tokens, LEAST_TOKENS,
            price.worst(ask.input_tokens, 0), price.output, order.record.decode(),
            ask.requests,
        )  # fmt: skip
        row = await self._store.call(lambda connection: connection.fetchrow(_RESERVE, *values))
        expired = msgspec.json.decode(row["expired"] or "[]", type=tuple[tuple[str, int, int], ...])
        return Verdict(
            refusal=row["refusal"],
            output_tokens=row["output"],
            retry_after=row["retry_after"],
            expired=expired,
        )

    async def settle(self, settlement: Settlement) -> bool:
        values = (
            settlement.reservation, settlement.tenant, settlement.tokens, settlement.cost
        )  # fmt: skip
        return bool(
            await self._store.call(
                lambda connection: connection.fetchval(
                    "select stoker.settle($1, $2, $3, $4)", *values
                )
            )
        )

    def check(self, tenants: Iterable[Tenant]) -> None:
        """Whole numbers of 64 bits hold every budget that can be configured."""

    async def close(self) -> None:
        """The connections are the store's."""


_RESERVE = f"select * from stoker.reserve({', '.join(f'${n}' for n in range(1, 17))})"  # noqa: S608
_RECORD = f"select stoker.record({', '.join(f'${n}' for n in range(1, 14))})"


def _row_of(one: UsageRecord) -> tuple[int | str, ...]:
    """Rows are changed in the same order by every front, so that none waits for another in a
    circle."""
    return int(one.ended // HOUR), one.tenant, one.key_id, one.model, one.backend


async def _set_up(connection: Any) -> None:
    """Raises SetupError for tables of another version."""
    await connection.execute(f"select pg_advisory_xact_lock({SET_UP_LOCK})")
    if await connection.fetchval("select to_regclass('stoker.version')") is None:
        script = importlib.resources.files(__package__).joinpath("postgresql.sql")
        await connection.execute(script.read_text(encoding="utf-8"))
    version = await connection.fetchval("select number from stoker.version")
    if version != VERSION:
        raise SetupError(f"the tables are of version {version}, this program's is {VERSION}")


async def _write(connection: Any, records: Sequence[UsageRecord]) -> None:
    rows = [
        (
            one.reservation, one.request_id, one.ended, one.tenant, one.key_id, one.model,
            one.backend, one.input_tokens, one.cached_tokens, one.output_tokens, one.cost,
            one.outcome, int(one.outcome not in ENDED_WELL),
        )
        for one in sorted(records, key=_row_of)
    ]  # fmt: skip
    await connection.executemany(_RECORD, rows)
    oldest = max((record.ended for record in records), default=0.0) - KEEP_SECONDS
    await connection.execute("delete from stoker.usage where ended < $1", oldest)
