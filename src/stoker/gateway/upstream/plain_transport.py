"""Transport over HTTP/1.1 without TLS, for servers of the own network: made to be fast.

aiohttp costs several times as much of a processor for each request and each event, which at a
gateway is most of what there is to save (docs/performance.md).
"""

from __future__ import annotations

import asyncio
import re
from asyncio.events import TimerHandle
from collections import deque
from functools import lru_cache
from types import TracebackType

from stoker.config.fleet_schema import BackendEntry
from stoker.errors import InternalError
from stoker.gateway.upstream.aiohttp_transport import IDLE_SECONDS, checked_address, target_of
from stoker.gateway.upstream.pace import Pace
from stoker.gateway.upstream.plain_connection import PlainConnection
from stoker.gateway.upstream.plain_reply import PlainReply
from stoker.gateway.upstream.transport import Call

_UNSAFE = re.compile(r"[\x00-\x1f\x7f]|[^\x00-\xff]")
REMEMBERED_PATHS = 16


class PlainTransport:
    """Connections are kept for the next request, the last used first. How many there are at once is
    the caller's to bound (ForeignBackend.enter)."""

    def __init__(self, entry: BackendEntry) -> None:
        """Raises ConfigError for an address that two readers understand differently."""
        self._entry = entry
        self._base = checked_address(entry.url)
        self._line = lru_cache(REMEMBERED_PATHS)(self._request_line)
        self._idle: deque[PlainConnection] = deque()
        self._open: set[PlainConnection] = set()
        self._sweep: TimerHandle | None = None
        self._pace: Pace | None = None
        self._closed = False

    def send(self, call: Call) -> Sending:
        return Sending(self, call)

    async def close(self) -> None:
        self._closed = True
        for connection in list(self._open):
            connection.abort()
        if self._sweep is not None:
            self._sweep.cancel()
        if self._pace is not None:
            self._pace.close()
        while self._open:  # until the loop has told each of them
            await asyncio.sleep(0)

    async def ask(self, call: Call) -> tuple[PlainConnection, PlainReply]:
        """Once the head of the answer is there. A kept connection that the server has closed in the
        meantime, as it may, is replaced once."""
        request = self._request(call)
        if self._idle:
            connection = self._idle.pop()
            reply = connection.ask(request)
            try:
                return connection, await _headed(connection, reply)
            except ConnectionError:
                if not reply.untouched:
                    raise
        connection = await self._connect()
        return connection, await _headed(connection, connection.ask(request))

    async def _connect(self) -> PlainConnection:
        if self._closed:
            raise ConnectionError("closed")
        loop = asyncio.get_running_loop()
        pace = self._pace = self._pace or Pace(loop)
        try:
            async with asyncio.timeout(self._entry.connect_seconds):
                _, connection = await loop.create_connection(
                    lambda: PlainConnection(self._entry, pace, self._free, self._open.discard),
                    self._base.host, self._base.port,
                )  # fmt: skip
        except TimeoutError:
            raise TimeoutError("no connection in time") from None
        except OSError as error:
            raise ConnectionError(type(error).__name__) from None
        self._open.add(connection)
        return connection

    # --- kept connections -------------------------------------------------------------------

    def _free(self, connection: PlainConnection) -> None:
        if self._closed:
            connection.abort()
            return
        self._idle.append(connection)
        if self._sweep is None:
            loop = asyncio.get_running_loop()
            self._sweep = loop.call_later(IDLE_SECONDS, self._close_old)

    def _close_old(self) -> None:
        loop = asyncio.get_running_loop()
        while self._idle and self._idle[0].idle_since + IDLE_SECONDS <= loop.time():
            self._idle.popleft().abort()
        self._sweep = None
        if self._idle:
            due = self._idle[0].idle_since + IDLE_SECONDS
            self._sweep = loop.call_at(due, self._close_old)
