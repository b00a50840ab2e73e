"""A stream of events: one write for each step, a sign of life in silence, only honest endings."""

from __future__ import annotations

import time

import msgspec

from stoker.api.exchange import Exchange
from stoker.errors import StokerError

SILENCE_SECONDS = 15.0
_HEADERS = [(b"cache-control", b"no-cache"), (b"x-accel-buffering", b"no")]
_LINE_BREAKS = (
    (b"\xc2\x85", b"\\u0085"),
    (b"\xe2\x80\xa8", b"\\u2028"),
    (b"\xe2\x80\xa9", b"\\u2029"),
)


class EventStream:
    """The status line is sent with the first event, so an earlier failure has its own status.
    After SILENCE_SECONDS without one it is sent anyway, so that intermediaries keep waiting.
    How events are framed is the exchange's dialect to say."""

    def __init__(self, exchange: Exchange, silence: float = SILENCE_SECONDS) -> None:
        self._exchange = exchange
        self._dialect = exchange.dialect
        self._silence = silence
        self._written = time.monotonic()
        self._writing = False

    async def write(self, events: bytes) -> None:
        self._writing = True
        if not self._exchange.started:
            await self._start()
        await self._exchange.write(events)
        self._writing = False
        self._written = time.monotonic()

    async def finish(self, events: bytes = b"") -> None:
        """The last events of a whole answer; the end marker follows them."""
        await self._end(events + self._dialect.end)

    async def fail(self, error: StokerError) -> None:
        """One whole error event and no end marker: a cut answer never looks complete."""
        body = self._dialect.error_body(error, self._exchange.request_id)
        await self._end(self._dialect.failure % one_line(body))

    async def _end(self, events: bytes) -> None:
        self._writing = True
        if not self._exchange.started:
            await self._start()
        await self._exchange.finish(events)

    async def keep_alive(self) -> float:
        """Writes a sign of life if there was silence; returns the seconds until it is due again."""
        left = self._written + self._silence - time.monotonic()
        if left > 0:
            return left
        if not self._writing:
            await self.write(self._dialect.waiting)
        return self._silence

    async def _start(self) -> None:
        kind = (b"content-type", self._dialect.stream_type)
        await self._exchange.start(200, [kind, *_HEADERS])


def event(value: msgspec.Struct) -> bytes:
    return b"data: " + one_line(msgspec.json.encode(value)) + b"\n\n"


def json_text(text: str) -> bytes:
    encoded = msgspec.json.encode(text)
    return encoded if text.isascii() else one_line(encoded)


def one_line(encoded: bytes) -> bytes:
    """JSON escapes ASCII line breaks only; many clients split on these three as well."""
    for raw, escaped in _LINE_BREAKS:
        if raw in encoded:
            encoded = encoded.replace(raw, escaped)
    return encoded
