"""Files and batches in PostgreSQL, for several fronts."""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import asyncpg

from stoker.config.redaction import without_password
from stoker.errors import SetupError, StorageUnavailable
from stoker.gateway.batches.database import Row, Statement, tables

Result = TypeVar("Result")

log = logging.getLogger(__name__)

CONNECTIONS = 8
ANSWER_SECONDS = 10.0
SET_UP_LOCK = 0x73746F6B66
"""Of the database, so that one of several fronts that start together makes the tables."""
FAILURES = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError)


class PostgresqlDatabase:
    """Implements Database."""

    def __init__(self, pool: Any) -> None:
        self._pool = pool

    @classmethod
    async def open(cls, url: str) -> PostgresqlDatabase:
        """Makes the tables when there are none. Raises SetupError."""
        pool = None
        try:
            pool = await asyncpg.create_pool(
                url, min_size=1, max_size=CONNECTIONS,
                timeout=ANSWER_SECONDS, command_timeout=ANSWER_SECONDS,
            )  # fmt: skip
            async with pool.acquire() as connection, connection.transaction():
                await connection.execute("select pg_advisory_xact_lock($1)", SET_UP_LOCK)
                for statement in tables("bytea"):
                    await connection.execute(statement)
        except (*FAILURES, ValueError) as error:
            if pool is not None:
                await pool.close()
            raise SetupError(
                f"the database at {without_password(url)} cannot be used: {error}",
                hint="Start it, or correct batches.url.",
            ) from None
        return cls(pool)

    async def fetch(self, statement: str, *values: Any) -> list[Row]:
        text = numbered(statement)
        rows = await self._call(lambda connection: connection.fetch(text, *values))
        return [tuple(row) for row in rows]

    async def change(self, *statements: Statement) -> None:
        async def work(connection: Any) -> None:
            for statement, values in statements:
                await connection.execute(numbered(statement), *values)

        await self._call(work)

    async def close(self) -> None:
        await self._pool.close()

    async def _call(self, work: Callable[[Any], Awaitable[Result]]) -> Result:
        try:
            async with (
                self._pool.acquire(timeout=ANSWER_SECONDS) as connection,
                connection.transaction(),
            ):
                return await work(connection)
        except FAILURES as error:
            log.error("the database of batches: %s", error or type(error).__name__)
            raise StorageUnavailable(
                "the store of files and batches cannot be used", retry_after=5.0
            ) from None


def numbered(statement: str) -> str:
    """With $1, $2 … in the place of each `?`."""
    numbers = iter(range(1, statement.count("?") + 1))
    return re.sub(r"\?", lambda _: f"${next(numbers)}", statement)
