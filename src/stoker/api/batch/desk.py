"""Where a server keeps files and batches. Opened when first needed: most never are asked."""

from __future__ import annotations

import asyncio
import importlib
import logging
from pathlib import Path
from typing import NamedTuple

from stoker.config.fleet_schema import BatchesSection
from stoker.core.clock import Clock
from stoker.errors import SetupError, StorageUnavailable
from stoker.gateway.batches.batch_store import BatchStore
from stoker.gateway.batches.database import Database
from stoker.gateway.batches.file_store import FileStore
from stoker.gateway.batches.sqlite_database import SqliteDatabase

log = logging.getLogger(__name__)

FILE_NAME = "batches.db"
POSTGRESQL = "postgresql://"
SQLITE = "sqlite:///"


class Stores(NamedTuple):
    files: FileStore
    batches: BatchStore


class BatchDesk:
    def __init__(self, section: BatchesSection, folder: Path, clock: Clock) -> None:
        """`folder` is where the database is when none is named."""
        self.section = section
        self.clock = clock
        self.added = asyncio.Event()
        """Set when there is a new batch."""
        self._folder = folder
        self._opening = asyncio.Lock()
        self._database: Database | None = None
        self._stores: Stores

    @property
    def used(self) -> bool:
        """Whether there may be batches of an earlier run."""
        return self.section.url.startswith(POSTGRESQL) or self._path.exists()

    async def stores(self) -> Stores:
        """Raises StorageUnavailable when the database cannot be used; why is in the log."""
        async with self._opening:
            if self._database is None:
                try:
                    self._database = await self._open()
                except SetupError as error:
                    log.error("files and batches: %s %s", error.message, error.hint or "")
                    raise StorageUnavailable(
                        "files and batches cannot be kept now", retry_after=5.0
                    ) from None
                files = FileStore(self._database, self.clock, self.section.tenant_bytes)
                self._stores = Stores(files, BatchStore(self._database))
        return self._stores

    async def close(self) -> None:
        """Safe to call twice."""
        if self._database is not None:
            await self._database.close()

    @property
    def _path(self) -> Path:
        if not self.section.url:
            return self._folder / FILE_NAME
        return Path(self.section.url.removeprefix(SQLITE)).expanduser()

    async def _open(self) -> Database:
        if not self.section.url.startswith(POSTGRESQL):
            return await SqliteDatabase.open(self._path)
        try:
            module = importlib.import_module("stoker.gateway.batches.postgresql_database")
        except ModuleNotFoundError as error:
            raise SetupError(
                f"batches.url needs the package {error.name}",
                hint="Install the extra: pip install 'stoker[postgresql]'.",
            ) from None
        database: Database = await module.PostgresqlDatabase.open(self.section.url)
        return database
