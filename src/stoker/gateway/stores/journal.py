"""Usage records on their way to the disk, written in groups so that nobody waits for it."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections import deque

from stoker.errors import StorageUnavailable
from stoker.gateway.stores.interface import UsageStore
from stoker.gateway.usage_record import UsageRecord

log = logging.getLogger(__name__)

GROUP = 1000
"""Records written at once."""
WAIT_SECONDS = 0.2
"""How long a record waits for others to be written with."""
RETRY_SECONDS = 2.0
"""Between attempts while the store refuses them."""
MOST_RECORDS = 100_000
"""Kept in memory meanwhile; beyond it the oldest are lost, and that is said."""


class Journal:
    def __init__(self, store: UsageStore) -> None:
        self._store = store
        self._records: deque[UsageRecord] = deque()
        self._lost = 0
        self._writing: asyncio.Task[None] | None = None
        self._closing = asyncio.Event()

    def keep(self, record: UsageRecord) -> None:
        """Never waits. It is on the disk soon after, or when the store can be written again."""
        self._records.append(record)
        if len(self._records) > MOST_RECORDS:
            self._records.popleft()
            self._lost += 1
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write(), name="usage records")

    async def close(self) -> None:
        """What was kept is written, if it can be."""
        self._closing.set()
        if self._writing is not None:
            await self._writing
        if self._records:
            await self._write()
        if self._records or self._lost:
            log.error("%d usage records are lost", len(self._records) + self._lost)
            self._lost = 0

    async def _write(self) -> None:
        """Ends when nothing is left, or at the first failure once closing."""
        wait = WAIT_SECONDS
        while self._records:
            await self._pause(wait)
            try:
                await self._write_all()
            except StorageUnavailable as error:
                log.error("%d usage records wait: %s", len(self._records), error.message)
                wait = RETRY_SECONDS
                if self._closing.is_set():
                    return

    async def _write_all(self) -> None:
        while self._records:
            group = list(itertools.islice(self._records, GROUP))
            await self._store.write(group)
            written = {record.reservation for record in group}
            while self._records and self._records[0].reservation in written:
                self._records.popleft()  # the oldest may have been dropped while this was written
        if self._lost:
            log.error("%d usage records are lost: too many were waiting", self._lost)
            self._lost = 0

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._closing.wait()
        except TimeoutError:
            return
