"""Transport over aiohttp: a pool of connections to one address, with a deadline on every wait."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import aiohttp

from stoker.config.fleet_schema import BackendEntry
from stoker.gateway.upstream.backend_address import BackendAddress
from stoker.gateway.upstream.transport import Call, Reply

IDLE_SECONDS = 15.0
"""Less than after which servers close an idle connection; most wait a minute or more."""
NAMES_SECONDS = 10
"""For how long a name's addresses are kept."""
PIECE_BYTES = 64 * 1024


class AiohttpReply:
    def __init__(self, response: aiohttp.ClientResponse, silence_seconds: float) -> None:
        self.status = response.status
        self.headers: Mapping[str, str] = {
            name.lower(): value for name, value in response.headers.items()
        }
        self._response = response
        self._silence = silence_seconds

    async def pieces(self) -> AsyncIterator[bytes]:
        content = self._response.content
        try:
            while True:
                async with asyncio.timeout(self._silence):
                    piece = await content.read(PIECE_BYTES)
                if not piece:
                    return
                yield piece
        except aiohttp.ClientError as error:
            raise ConnectionError(type(error).__name__) from None


class AiohttpTransport:
    """Follows no redirect, keeps no cookie, reads no proxy from the environment, unpacks nothing.
    Certificates are checked against the system's authorities."""

    def __init__(self, entry: BackendEntry) -> None:
        """Raises ConfigError for an address that two readers understand differently."""
        self._entry = entry
        self._address = BackendAddress(entry.url)
        self._session: aiohttp.ClientSession | None = None

    @asynccontextmanager
    async def send(self, call: Call) -> AsyncIterator[Reply]:
        response = await self._answered(call)
        try:
            yield AiohttpReply(response, self._entry.silence_seconds)
        finally:
            # Reusable only once read to its end, and then it is back in the pool already.
            response.close()

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def _answered(self, call: Call) -> aiohttp.ClientResponse:
        entry = self._entry
        try:
            async with asyncio.timeout(entry.connect_seconds + entry.first_byte_seconds):
                return await self._pool().request(
                    call.method,
                    self._address.at(call.path),
                    data=call.body or None,
                    headers={**call.headers, "accept-encoding": "identity"},
                    allow_redirects=False,
                )
        except TimeoutError:
            raise TimeoutError("no answer in time") from None
        except (aiohttp.ClientError, OSError) as error:
            raise ConnectionError(type(error).__name__) from None

    def _pool(self) -> aiohttp.ClientSession:
        """Made in the loop that uses it."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=self._entry.max_connections,
                    keepalive_timeout=IDLE_SECONDS,
                    ttl_dns_cache=NAMES_SECONDS,
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(sock_connect=self._entry.connect_seconds),
                auto_decompress=False,
                trust_env=False,
            )
        return self._session
