"""One answer of an HTTP/1.1 server: its head, checked, and then its body as it comes.

The parser refuses what two readers could understand differently: repeated or contradictory
lengths, folded headers, bare line feeds. Added here are sizes and what the parser lets pass.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import httptools

from stoker.gateway.upstream.pace import Pace
from stoker.gateway.upstream.relay import Relay, Valve

MOST_HEADERS = 128
MOST_HEAD_BYTES = 64 * 1024
PER_CONTENT_BYTE = 8
"""Of framing: a body in chunks of one byte each needs five."""
MOST_INTERIM = 4
"""Answers like 100 before the one that counts."""
SWITCHING = 101


class Refused(Exception):
    """Thrown through the parser, which passes on only that a callback failed."""


class PlainReply:
    """Implements Reply. `head` is done once status and headers are there, or never will be."""

    __slots__ = ("_content", "_headers", "_interim", "_parser", "_received", "_relay", "_unbounded",
                 "complete", "head", "headers", "reusable", "status")  # fmt: skip

    def __init__(self, valve: Valve, pace: Pace, head: asyncio.Future[None]) -> None:
        self.status = 0
        self.headers: Mapping[str, str] = {}
        self.head = head
        self.complete = False
        self.reusable = False
        """Its connection is, once it is complete."""
        self._headers: dict[str, str] = {}
        self._interim = 0
        self._unbounded = False
        """Only the end of the connection ends it."""
        self._received = 0
        self._content = 0
        self._relay = Relay(valve, pace)
        self._parser = httptools.HttpResponseParser(self)

    # --- for whoever asked ------------------------------------------------------------------

    def pieces(self) -> PlainReply:
        return self

    def __aiter__(self) -> PlainReply:
        return self

    async def __anext__(self) -> bytes:
        piece = await self._relay.take()
        if not piece:
            raise StopAsyncIteration
        return piece

    # --- for the connection -----------------------------------------------------------------

    @property
    def untouched(self) -> bool:
        """Not a byte has come."""
        return not self._received

    @property
    def waits_for_reader(self) -> bool:
        return self._relay.full

    def feed(self, data: bytes) -> None:
        """Raises ConnectionError: this is no answer."""
        self._received += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            raise ConnectionError("what came is not an HTTP/1.1 answer") from None
        if self._received > MOST_HEAD_BYTES + (1 + PER_CONTENT_BYTE) * self._content:
            raise ConnectionError("the answer is more framing than content")

    def closed(self) -> None:
        """The server ended the connection in an orderly way."""
        if self._unbounded and not self.complete:
            self.complete = True
            self._relay.end()
        else:
            self.fail(ConnectionError("the connection ended before the answer"))

    def fail(self, error: Exception) -> None:
        """Changes nothing once it is complete."""
        if self.complete:
            return
        if not self.head.done():
            self.head.set_exception(error)
            self.head.exception()  # whoever waited may have left
        self._relay.end(error)

    # --- for the parser ---------------------------------------------------------------------

    def on_message_begin(self) -> None:
        if self.complete:
            self.reusable = False
            raise Refused

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.status:
            return  # a trailer
        known = name.decode("latin-1").lower()
        text = value.decode("latin-1")
        before = self._headers.get(known)
        self._headers[known] = text if before is None else f"{before}, {text}"
        if len(self._headers) > MOST_HEADERS:
            raise Refused

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        version = self._parser.get_http_version()
        coding = self._headers.get("transfer-encoding")
        if version not in ("1.1", "1.0") or status == SWITCHING or not 100 <= status <= 599:
            raise Refused
        if coding is not None and (version != "1.1" or coding.lower() != "chunked"):
            raise Refused
        if status < 200:
            self._interim += 1
            self._headers.clear()
            if self._interim > MOST_INTERIM:
                raise Refused
            return
        self._unbounded = coding is None and "content-length" not in self._headers
        self.status, self.headers = status, self._headers
        if not self.head.done():
            self.head.set_result(None)

    def on_body(self, body: bytes) -> None:
        self._content += len(body)
        self._relay.put(body)

    def on_message_complete(self) -> None:
        if self.status:
            self.complete = True
            self.reusable = self._parser.should_keep_alive()
            self._relay.end()
