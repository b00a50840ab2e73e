"""A ledger whose spending survives its process, in a SQLite file that one front writes.

Decisions are made in memory and written in groups, so that a request never waits for a disk. That
must not let a budget be exceeded after a kill -9, so money is drawn in advance: the file always
says that at least as much is spent as can have been spent. What was drawn and not used is given
back at an orderly end; after a crash it counts as spent, at most DRAW_SHARE of the budget.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from stoker.core.clock import Clock
from stoker.errors import NoCapacity, SetupError
from stoker.gateway.ledger import Ask, Grant
from stoker.gateway.limits import Account
from stoker.gateway.stores.memory import MemoryLedger
from stoker.gateway.stores.usage_file import UsageFile
from stoker.gateway.tenant import Tenant
from stoker.gateway.usage_record import UsageRecord

Result = TypeVar("Result")

log = logging.getLogger(__name__)

DRAW_SHARE = 0.01
"""Of a budget, drawn at a time."""
WRITE_SECONDS = 0.2
"""How long a record waits for others to be written with."""
MOST_RECORDS = 100_000
"""Kept in memory while the disk refuses them; beyond it the oldest are lost, and that is said."""


class SqliteLedger(MemoryLedger):
    """Implements Ledger. `open` makes one."""

    def __init__(self, file: UsageFile, tenants: Iterable[Tenant], clock: Clock) -> None:
        super().__init__(tenants, clock)
        self._file = file
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ledger")
        self._drawn: dict[tuple[str, str], int] = {}
        """(tenant, window) → what the file says is spent."""
        self._records: list[UsageRecord] = []
        self._writing: asyncio.Task[None] | None = None
        self._drawing = asyncio.Lock()
        self._closed = False

    @classmethod
    async def open(cls, path: Path, tenants: Iterable[Tenant], clock: Clock) -> SqliteLedger:
        """Raises SetupError when the file cannot be used."""
        try:
            file = UsageFile(path)
            ledger = cls(file, tenants, clock)
            await ledger._on_thread(file.open)
            for tenant, window, spent in await ledger._on_thread(file.spending):
                ledger._drawn[tenant, window] = spent
        except (sqlite3.Error, OSError) as error:
            raise SetupError(
                f"the usage file {path} cannot be used: {error}",
                hint="Name another with store.url, or move the damaged one away.",
            ) from None
        ledger._recall()
        return ledger

    async def reserve(self, ask: Ask) -> Grant:
        grant = self._reserve(ask).grant
        account = self.limits.accounts[ask.tenant.name]
        if account.tenant.limits.budget and account.committed > self._known(account):
            try:
                await self._draw(account)
            except BaseException:
                self.limits.cancel(ask.request_id)
                raise
        return grant

    async def close(self) -> None:
        """Writes what is left, and gives back what was drawn and not used. Safe to call twice."""
        if self._closed:
            return
        self._closed = True
        if self._writing is not None:
            await asyncio.gather(self._writing, return_exceptions=True)
        spent = [
            (account.tenant.name, account.window, account.spent)
            for account in self.limits.accounts.values()
            if account.window or account.spent
        ]
        try:
            await self._on_thread(self._file.write, self._records, spent)
            await self._on_thread(self._file.close)
        except sqlite3.Error as error:
            log.error("usage could not be written: %s", error)
        self._thread.shutdown(wait=False)

    def _recall(self) -> None:
        """What the file knows of the current windows."""
        for account in self.limits.accounts.values():
            account.turn(self._clock.wall())
            account.spent = self._known(account)

    def _known(self, account: Account) -> int:
        return self._drawn.get((account.tenant.name, account.window), 0)

    async def _draw(self, account: Account) -> None:
        """Raises NoCapacity when the file cannot be written: without it nothing may be spent."""
        async with self._drawing:
            if account.committed <= self._known(account):
                return  # drawn meanwhile, for another request
            limit = account.tenant.limits.budget
            drawn = min(limit, account.committed + max(1, int(limit * DRAW_SHARE)))
            drawn = max(drawn, account.committed)
            name, window = account.tenant.name, account.window
            try:
                await self._on_thread(self._file.write, [], [(name, window, drawn)])
            except sqlite3.Error as error:
                log.error("the usage file cannot be written: %s", error)
                raise NoCapacity("budgets cannot be recorded", retry_after=5.0) from None
            self._drawn[name, window] = drawn

    def _keep(self, record: UsageRecord) -> None:
        self._records.append(record)
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write_soon(), name="usage records")

    async def _write_soon(self) -> None:
        await asyncio.sleep(WRITE_SECONDS)
        while self._records:
            batch, self._records = self._records, []
            try:
                await self._on_thread(self._file.write, batch, [])
            except sqlite3.Error as error:
                log.error("usage records wait for a file that can be written: %s", error)
                self._records = [*batch, *self._records][-MOST_RECORDS:]
                return

    async def _on_thread(self, work: Callable[..., Result], *arguments: Any) -> Result:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, work, *arguments)
