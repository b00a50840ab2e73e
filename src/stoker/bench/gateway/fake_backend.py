"""An instant OpenAI-compatible server: what stands before it is what a load test then measures.

    python -m stoker.bench.gateway.fake_backend

prints its port and serves 127.0.0.1 until its standard input is closed. A request says how many
tokens it gets in `max_tokens`, and how fast in `user`: "rate-50" is fifty a second, in a write
each; without a rate all come at once.
"""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Callable
from typing import cast

import httptools
import uvloop

from stoker.bench.gateway.ticker import Tickers

_STREAM = re.compile(rb'"stream"\s*:\s*true')
_TOKENS = re.compile(rb'"max_(?:completion_)?tokens"\s*:\s*(\d{1,6})')
_RATE = re.compile(rb'"user"\s*:\s*"rate-(\d{1,6})"')
_CHUNK = (
    b'data: {"id":"chatcmpl-0","object":"chat.completion.chunk","created":1700000000,"model":"m",'
    b'"choices":[{"index":0,"delta":%b,"finish_reason":%b}]%b}\n\n'
)
_USAGE = b'"usage":{"prompt_tokens":12,"completion_tokens":%d,"total_tokens":%d}'
TOKENS = [_CHUNK % (b'{"content":" %b"}' % word, b"null", b"") for word in (b"one", b"two")]
"""In turn: a proxy may take a model that says the same again and again for a broken one."""
_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: %b\r\n%b\r\n\r\n"
_STREAM_HEAD = _HEAD % (b"text/event-stream; charset=utf-8", b"transfer-encoding: chunked")
CONNECTIONS = 4096


def whole_answer(tokens: int) -> bytes:
    body = (
        b'{"id":"chatcmpl-0","object":"chat.completion","created":1700000000,"model":"m","choices":'
        b'[{"index":0,"message":{"role":"assistant","content":"%b"},"finish_reason":"stop"}],%b}'
    ) % (b" word" * tokens, _USAGE % (tokens, 12 + tokens))
    return _HEAD % (b"application/json", b"content-length: %d" % len(body)) + body


def last_events(tokens: int) -> bytes:
    """Finish reason, usage and end marker, as one chunk each, and the end of the body."""
    usage = (
        b'data: {"id":"chatcmpl-0","object":"chat.completion.chunk","created":1700000000,'
        b'"model":"m","choices":[],%b}\n\n'
    ) % (_USAGE % (tokens, 12 + tokens))
    events = (_CHUNK % (b"{}", b'"stop"', b""), usage, b"data: [DONE]\n\n")
    return b"".join(map(chunked, events)) + b"0\r\n\r\n"


def chunked(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


_TOKEN_CHUNKS = [chunked(token) for token in TOKENS]


def token_chunks(tokens: int) -> bytes:
    return b"".join(_TOKEN_CHUNKS) * (tokens // 2) + _TOKEN_CHUNKS[0] * (tokens % 2)


class FakeBackend(asyncio.Protocol):
    """One connection."""

    def __init__(self, tickers: Tickers) -> None:
        self._tickers = tickers
        self._parser = httptools.HttpRequestParser(self)
        self._body: list[bytes] = []
        self._stream: _Stream | None = None
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._stream is not None:
            self._stream.left = 0

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        body = b"".join(self._body)
        self._body.clear()
        self._answer(body)

    def _answer(self, body: bytes) -> None:
        tokens = _number(_TOKENS, body, 16)
        if _STREAM.search(body) is None:
            self._end(b"", whole_answer(tokens), tokens)
            return
        rate = _number(_RATE, body, 0)
        if rate == 0:
            self._end(_STREAM_HEAD + token_chunks(tokens), last_events(tokens), tokens)
            return
        self._transport.write(_STREAM_HEAD + _TOKEN_CHUNKS[0])
        self._stream = _Stream(self._transport, tokens, self._end)
        self._tickers.add(self._stream.tick, rate)

    def _end(self, before: bytes, last: bytes, tokens: int) -> None:
        """The end of an answer: `last`, and what comes just before it."""
        self._transport.write(before + last)


class _Stream:
    def __init__(
        self, transport: asyncio.Transport, tokens: int, end: Callable[[bytes, bytes, int], None]
    ) -> None:
        self.left = tokens - 1
        self._tokens = tokens
        self._transport = transport
        self._end = end

    def tick(self) -> bool:
        """Writes the next token. False: that was the end."""
        if self.left <= 0 or self._transport.is_closing():
            return False
        self.left -= 1
        if self.left:
            self._transport.write(_TOKEN_CHUNKS[self.left % 2])
            return True
        self._end(_TOKEN_CHUNKS[0], last_events(self._tokens), self._tokens)
        return False


def _number(pattern: re.Pattern[bytes], body: bytes, default: int) -> int:
    found = pattern.search(body)
    return int(found[1]) if found else default


async def serve(connection: Callable[[Tickers], asyncio.Protocol]) -> None:
    """Prints the port, and serves until the standard input is closed."""
    loop = asyncio.get_running_loop()
    tickers = Tickers(loop)
    server = await loop.create_server(
        lambda: connection(tickers), "127.0.0.1", 0, backlog=CONNECTIONS
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


if __name__ == "__main__":
    uvloop.run(serve(FakeBackend))
