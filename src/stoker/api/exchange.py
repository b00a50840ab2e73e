"""One request and its one response: everything an endpoint does with the connection."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import msgspec

from stoker.api.asgi import Message, Receive, Scope, Send
from stoker.api.body import ClientGone, read_body
from stoker.api.dialect import OPENAI, Dialect
from stoker.api.errors import JSON, Headers, closes, error_headers
from stoker.config.schema import LimitsSection
from stoker.core.adapter import BASE, AdapterSource
from stoker.errors import InvalidRequest, StokerError, UnsupportedMediaType
from stoker.gateway.admission import Visit
from stoker.gateway.tenant import ANONYMOUS

LINGER_SECONDS = 1.0
LINGER_BYTES = 16 * 1024 * 1024


class Exchange:
    """Made for each request. Only one answer can be begun; `started` says whether it was."""

    def __init__(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        limits: LimitsSection,
        request_id: str,
        dialect: Dialect = OPENAI,
    ) -> None:
        self.dialect = dialect
        self.scope = scope
        self.limits = limits
        self.request_id = request_id
        self.arrived = time.monotonic()
        self.seconds = limits.request_seconds
        """From its arrival to the end of its answer."""
        self.status = 0
        self._body: bytes | None = None
        self.principal = ANONYMOUS
        """Whose request it is; the key gate sets it."""
        self.adapter: AdapterSource | None = None
        """What is added to the model that answers."""
        self.wanted_adapter = BASE
        """Its key, where a ticket names it."""
        self.body_size = 0
        """In bytes. What a request may cost to read is in proportion to it."""
        self.route = "-"
        """The pattern of the path, for logs; never what the client wrote."""
        self.visit = Visit()
        self.receive = receive
        self.send = send

    @property
    def adapter_key(self) -> str:
        return BASE if self.adapter is None else self.adapter.key

    @property
    def started(self) -> bool:
        return self.status != 0

    def headers(self, name: bytes) -> list[bytes]:
        """All values of a header, by its lower-case name."""
        return [value for key, value in self.scope["headers"] if key == name]

    def header(self, name: bytes) -> str | None:
        """The only value of a header. Raises InvalidRequest when it is given more than once."""
        values = self.headers(name)
        if len(values) > 1:
            raise InvalidRequest(f"the header '{name.decode()}' is given more than once")
        return values[0].decode("latin-1") if values else None

    # --- request ----------------------------------------------------------------------------

    async def read(self) -> bytes:
        """The JSON body, not looked into yet; the same each time. Raises RequestError."""
        if self._body is None:
            self._body = await self._receive_body()
            self.body_size = len(self._body)
        return self._body

    async def _receive_body(self) -> bytes:
        kind = (self.header(b"content-type") or "").partition(";")[0].strip().lower()
        if kind != "application/json":
            raise UnsupportedMediaType("the body must be JSON")
        if self.headers(b"content-encoding"):
            raise UnsupportedMediaType("compressed bodies are not accepted")
        length = self.header(b"content-length")
        declared = int(length) if length is not None and length.isdecimal() else None
        return await read_body(self.receive, declared, self.limits)

    # --- response ---------------------------------------------------------------------------

    async def respond(
        self, body: bytes, *, status: int = 200, headers: Headers | None = None
    ) -> None:
        """The whole answer at once."""
        size = (b"content-length", str(len(body)).encode())
        await self.start(status, [*(headers or [JSON]), size])
        await self.finish(body)

    async def respond_json(self, value: Any, *, status: int = 200) -> None:
        await self.respond(msgspec.json.encode(value), status=status)

    async def fail(self, error: StokerError, headers: Headers | None = None) -> None:
        """Answers with an error, and lets a client that is still sending hear it."""
        body = self.dialect.error_body(error, self.request_id)
        size = (b"content-length", str(len(body)).encode())
        await self.start(error.status, [*error_headers(error), *(headers or []), size])
        if closes(error):
            await self.write(body)
            await self._discard_rest()
            body = b""
        await self.finish(body)

    async def start(self, status: int, headers: Headers) -> None:
        self.status = status
        names = (b"x-request-id", self.dialect.id_header)
        identity = [(name, self.request_id.encode()) for name in names if name]
        await self.send(
            {"type": "http.response.start", "status": status, "headers": [*headers, *identity]}
        )

    async def write(self, data: bytes) -> None:
        await self.send({"type": "http.response.body", "body": data, "more_body": True})

    async def finish(self, data: bytes = b"") -> None:
        await self.send({"type": "http.response.body", "body": data, "more_body": False})

    # --- the connection ---------------------------------------------------------------------

    async def while_connected(
        self,
        work: Coroutine[Any, Any, None],
        on_silence: Callable[[], Awaitable[float]] | None = None,
    ) -> None:
        """Runs `work`, and cancels it as soon as the client is gone (raises ClientGone).

        `on_silence` is called now and then; it returns the seconds until its next call.
        """
        task = asyncio.ensure_future(work)
        gone = asyncio.ensure_future(self._disconnected())
        try:
            pause = None if on_silence is None else await on_silence()
            while not (task.done() or gone.done()):
                await asyncio.wait((task, gone), timeout=pause, return_when=asyncio.FIRST_COMPLETED)
                if on_silence is not None and not (task.done() or gone.done()):
                    pause = await on_silence()
            if not task.done():
                raise ClientGone
            await task
        finally:
            gone.cancel()
            task.cancel()
            await asyncio.gather(task, gone, return_exceptions=True)

    async def _disconnected(self) -> None:
        while (await self.receive())["type"] != "http.disconnect":
            pass

    async def _discard_rest(self) -> None:
        """Reads on for a moment: a connection closed on unread data is reset, and the reset can
        overtake the answer."""
        left = LINGER_BYTES
        try:
            async with asyncio.timeout(LINGER_SECONDS):
                message: Message = await self.receive()
                while message["type"] == "http.request" and message.get("more_body") and left > 0:
                    left -= len(message.get("body", b""))
                    message = await self.receive()
        except TimeoutError:
            return
