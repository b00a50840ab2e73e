"""One connection of a load generator: sends the same request again and again and times answers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import cast

import httptools

from stoker.bench.gateway.plan import Plan

_EVENT_END = b"\n\n"
_DONE = b"data: [DONE]\n\n"


def request_of(plan: Plan) -> bytes:
    """The bytes of the one request of a plan."""
    fields = f'"model":"{plan.model}","max_tokens":{plan.tokens}'
    if plan.stream:
        fields += ',"stream":true,"stream_options":{"include_usage":true}'
    if plan.token_rate:
        fields += f',"user":"rate-{plan.token_rate}"'
    text = ("a word and another " * (plan.prompt_bytes // 19 + 1))[: plan.prompt_bytes]
    body = f'{{{fields},"messages":[{{"role":"user","content":"{text}"}}]}}'
    key = f"authorization: Bearer {plan.api_key}\r\n" if plan.api_key else ""
    return (
        f"POST {plan.path} HTTP/1.1\r\nhost: 127.0.0.1:{plan.port}\r\n{key}"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n{body}"
    ).encode()


class Caller(asyncio.Protocol):
    """`ended` is called after each answer, and when the connection is lost during one."""

    def __init__(self, request: bytes, ended: Callable[[Caller], None], *, stream: bool) -> None:
        self.failure = ""
        self.latency = 0.0
        self.first = 0.0
        """Seconds to the first byte of the body; 0.0 until it is there."""
        self.events = 0
        self.open = False
        self._request = request
        self._ended = ended
        self._stream = stream
        self._busy = False
        self._tail = b""
        self._parser: httptools.HttpResponseParser
        self._transport: asyncio.Transport

    def ask(self, due: float | None = None) -> None:
        """`due`: when it should have been asked, on time.perf_counter."""
        self.failure, self.first, self.events, self._tail = "", 0.0, 0, b""
        self._began = time.perf_counter() if due is None else due
        self._busy = True
        self._parser = httptools.HttpResponseParser(self)
        self._transport.write(self._request)

    def close(self) -> None:
        self._busy = False
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.open = True
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self.open = False
        if self._busy:
            self._end("the connection was lost")

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._end("not HTTP")

    def on_body(self, body: bytes) -> None:
        if not self.first:
            self.first = time.perf_counter() - self._began
        cut = self._tail.endswith(b"\n") and body.startswith(b"\n")
        self.events += body.count(_EVENT_END) + cut
        self._tail = body[-len(_DONE) :] if len(body) >= len(_DONE) else self._tail + body

    def on_message_complete(self) -> None:
        status = self._parser.get_status_code()
        whole = self._tail.endswith(_DONE if self._stream else b"}")
        if status != 200:
            self._end(f"status {status}")
        else:
            self._end("" if whole else "a broken answer")

    def _end(self, failure: str) -> None:
        if self._busy:
            self._busy = False
            self.failure = failure
            self.latency = time.perf_counter() - self._began
            self._ended(self)
