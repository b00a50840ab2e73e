"""Usage and money in a SQLite file, written by a thread of its own."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import ParamSpec, TypeVar

from stoker.errors import SetupError, StorageUnavailable
from stoker.gateway.stores.interface import UsageLine, UsageQuestion
from stoker.gateway.stores.usage_file import UsageFile
from stoker.gateway.usage_record import UsageRecord

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

log = logging.getLogger(__name__)


class SqliteStore:
    """Implements UsageStore and Funds. `open` makes one. Several processes may have the same file
    open: what one of them does is one transaction."""

    def __init__(self, path: Path) -> None:
        self._file = UsageFile(path)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="usage")

    @classmethod
    async def open(cls, path: Path, wall: float) -> SqliteStore:
        """`wall` in Unix seconds. Raises SetupError when the file cannot be used."""
        store = cls(path)
        hint = "Name another with store.url, or move the damaged one away."
        await store._set_up(lambda: store._file.open(wall), hint)
        return store

    @classmethod
    async def open_to_read(cls, path: Path) -> SqliteStore:
        """Makes no file. Raises SetupError when there is none that can be read."""
        store = cls(path)
        hint = "It is there once a server with tenants has run; name it with store.url."
        await store._set_up(store._file.open_to_read, hint)
        return store

    async def _set_up(self, work: Callable[[], None], hint: str) -> None:
        try:
            await self._run(work)
        except (sqlite3.Error, OSError) as error:
            self._thread.shutdown(wait=False)
            raise SetupError(
                f"the usage file {self._file.path} cannot be used: {error}", hint=hint
            ) from None

    async def write(self, records: Sequence[UsageRecord]) -> None:
        await self._call(self._file.write, records)

    async def draw(self, tenant: str, window: str, most: int, limit: int) -> int:
        return await self._call(self._file.draw, tenant, window, most, limit)

    async def give_back(self, tenant: str, window: str, amount: int) -> None:
        await self._call(self._file.give_back, tenant, window, amount)

    async def report(self, question: UsageQuestion) -> list[UsageLine]:
        return await self._call(self._file.report, question)

    async def close(self) -> None:
        """Safe to call twice."""
        await self._run(self._file.close)
        self._thread.shutdown(wait=False)

    async def _call(
        self,
        work: Callable[Parameters, Result],
        *arguments: Parameters.args,
        **named: Parameters.kwargs,
    ) -> Result:
        try:
            return await self._run(work, *arguments, **named)
        except sqlite3.Error as error:
            log.error("the usage file %s: %s", self._file.path, error)
            raise StorageUnavailable("the usage file cannot be used", retry_after=5.0) from None

    async def _run(
        self,
        work: Callable[Parameters, Result],
        *arguments: Parameters.args,
        **named: Parameters.kwargs,
    ) -> Result:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, lambda: work(*arguments, **named))
