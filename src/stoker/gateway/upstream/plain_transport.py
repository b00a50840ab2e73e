"""Transport over HTTP/1.1 without TLS, for servers of the own network: made to be fast.

aiohttp costs several times as much of a processor for each request and each event, which at a
gateway is most of what there is to save (docs/performance.md).
"""

from __future__ import annotations

import asyncio
import re
from asyncio.events import TimerHandle
from functools import lru_cache
from types import TracebackType

from stoker.config.fleet_schema import BackendEntry
from stoker.errors import ConfigError
from stoker.gateway.upstream.backend_address import BackendAddress
from stoker.gateway.upstream.pace import Pace
from stoker.gateway.upstream.plain_connection import PlainConnection
from stoker.gateway.upstream.plain_reply import PlainReply
from stoker.gateway.upstream.transport import Call

_UNSAFE = re.compile(r"[\x00-\x1f\x7f]|[^\x00-\xff]")
REMEMBERED_PATHS = 16
IDLE_SECONDS = 15.0
"""Less than after which servers close an idle connection; most wait a minute or more."""


class PlainTransport:
    """Connections are kept for the next request, the last used first. How many there are at once is
    the caller's to bound (ForeignBackend.enter)."""

    def __init__(self, entry: BackendEntry) -> None:
        """Raises ConfigError for an address that two readers understand differently."""
        self._entry = entry
        self._address = BackendAddress(entry.url)
        base = self._address.base
        self._host, self._port = base.raw_host or "", base.port or 80
        self._target = lru_cache(REMEMBERED_PATHS)(self._target_of)
        self._idle: dict[PlainConnection, None] = {}
        """In the order in which they fell idle."""
        self._open: set[PlainConnection] = set()
        self._none_open = asyncio.Event()
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
        if self._open:
            self._none_open.clear()
            await self._none_open.wait()

    async def ask(self, call: Call) -> tuple[PlainConnection, PlainReply]:
        """Once the head of the answer is there. A kept connection that the server has closed in the
        meantime, as it may, is replaced once."""
        request = self._request(call)
        if self._idle:
            connection, _ = self._idle.popitem()
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
                    lambda: PlainConnection(self._entry, pace, self._free, self._lost),
                    self._host, self._port,
                )  # fmt: skip
        except TimeoutError:
            raise TimeoutError("no connection in time") from None
        except OSError as error:
            raise ConnectionError(type(error).__name__) from None
        self._open.add(connection)
        return connection

    def _request(self, call: Call) -> bytes:
        lines = [f"{name}: {value}" for name, value in call.headers.items()]
        if any(map(_UNSAFE.search, lines)):
            raise ConfigError(
                "a header for a backend holds a character that none may",
                hint="Is there a line break in its api_key?",
            )
        head = "\r\n".join(
            (
                f"{call.method} {self._target(call.path)} HTTP/1.1",
                f"host: {self._address.base.raw_authority}",
                "accept-encoding: identity",
                f"content-length: {len(call.body)}",
                *lines,
            )
        )
        return b"%b\r\n\r\n%b" % (head.encode("latin-1"), call.body)

    def _target_of(self, path: str) -> str:
        return self._address.at(path).raw_path_qs

    # --- kept connections -------------------------------------------------------------------

    def _free(self, connection: PlainConnection) -> None:
        if self._closed:
            connection.abort()
            return
        self._idle[connection] = None
        if self._sweep is None:
            loop = asyncio.get_running_loop()
            self._sweep = loop.call_later(IDLE_SECONDS, self._close_old)

    def _lost(self, connection: PlainConnection) -> None:
        self._open.discard(connection)
        self._idle.pop(connection, None)
        if not self._open:
            self._none_open.set()

    def _close_old(self) -> None:
        loop = asyncio.get_running_loop()
        self._sweep = None
        for connection in list(self._idle):
            due = connection.idle_since + IDLE_SECONDS
            if due > loop.time():
                self._sweep = loop.call_at(due, self._close_old)
                return
            del self._idle[connection]
            connection.abort()


class Sending:
    """From a call to the end of its answer. Left before that, the connection is closed: the server
    learns that nobody listens."""

    __slots__ = ("_call", "_connection", "_reply", "_transport")

    def __init__(self, transport: PlainTransport, call: Call) -> None:
        self._transport = transport
        self._call = call
        self._connection: PlainConnection
        self._reply: PlainReply

    async def __aenter__(self) -> PlainReply:
        self._connection, self._reply = await self._transport.ask(self._call)
        return self._reply

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if not self._reply.complete:
            self._connection.abort()


async def _headed(connection: PlainConnection, reply: PlainReply) -> PlainReply:
    try:
        await reply.head
    except BaseException:
        if not reply.complete:  # else it is free again, or somebody else's
            connection.abort()
        raise
    return reply
