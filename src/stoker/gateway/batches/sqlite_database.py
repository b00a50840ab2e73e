"""A SQLite file, used by a thread of its own."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from stoker.errors import SetupError, StorageUnavailable
from stoker.gateway.batches.database import Row, Statement, tables

Result = TypeVar("Result")

log = logging.getLogger(__name__)

BUSY_SECONDS = 5.0
"""Another process may be writing."""


class SqliteDatabase:
    """Implements Database. Several processes may have the same file open."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="batches")
        self._connection: sqlite3.Connection

    @classmethod
    async def open(cls, path: Path) -> SqliteDatabase:
        """Makes the file if there is none. Raises SetupError."""
        database = cls(path)
        try:
            await database._run(database._connect)
        except (sqlite3.Error, OSError) as error:
            database._thread.shutdown(wait=False)
            raise SetupError(
                f"the batch file {path} cannot be used: {error}",
                hint="Name another with batches.url, or move the damaged one away.",
            ) from None
        return database

    def _connect(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._connection = sqlite3.connect(self._path, BUSY_SECONDS, isolation_level=None)
        self._path.chmod(0o600)
        self._connection.execute("pragma journal_mode = wal")
        self._connection.execute("pragma synchronous = full")
        for statement in tables("blob"):
            self._connection.execute(statement)

    async def fetch(self, statement: str, *values: Any) -> list[Row]:
        return await self._guarded(lambda: self._connection.execute(statement, values).fetchall())

    async def change(self, *statements: Statement) -> None:
        await self._guarded(lambda: self._change(statements))

    def _change(self, statements: tuple[Statement, ...]) -> None:
        self._connection.execute("begin immediate")
        try:
            for statement, values in statements:
                self._connection.execute(statement, values)
            self._connection.execute("commit")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("rollback")
            raise

    async def close(self) -> None:
        try:
            await self._run(self._connection.close)
        except RuntimeError:  # closed before
            return
        self._thread.shutdown(wait=False)

    async def _guarded(self, work: Callable[[], Result]) -> Result:
        try:
            return await self._run(work)
        except sqlite3.Error as error:
            log.error("the batch file %s: %s", self._path, error)
            raise StorageUnavailable(
                "the store of files and batches cannot be used", retry_after=5.0
            ) from None

    async def _run(self, work: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)
