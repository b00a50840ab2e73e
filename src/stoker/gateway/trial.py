"""One request at a time that may be what kills replicas: the others are not blamed for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from stoker.core.output import TokenDelta
from stoker.engine.continuation import Continuation


class Hearing:
    """Ends with the first token: a request that got one did not kill its replica."""

    def __init__(self, lock: asyncio.Lock | None) -> None:
        self._lock = lock

    def passed(self, delta: TokenDelta) -> None:
        if delta.token_ids:
            self.end()

    def end(self) -> None:
        lock, self._lock = self._lock, None
        if lock is not None:
            lock.release()


class Trial:
    def __init__(self) -> None:
        self._lock = asyncio.Lock()

    @asynccontextmanager
    async def held(self, continuation: Continuation) -> AsyncIterator[Hearing]:
        """Suspects wait for each other here, everybody else passes."""
        if not continuation.suspect:
            yield Hearing(None)
            return
        await self._lock.acquire()
        hearing = Hearing(self._lock)
        try:
            yield hearing
        finally:
            hearing.end()
