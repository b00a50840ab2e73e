"""uvicorn's HTTP/1.1 protocol, with limits on what may arrive before a request is a request.

The parser refuses malformed framing by itself. Added here: sizes, counts and times of the head,
forms of requests that proxies and servers understand differently, an answer in our own shape, and
an end for clients that stop reading.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
from asyncio.events import TimerHandle
from typing import Any, cast

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from stoker.api.errors import error_body, error_headers
from stoker.config.schema import LimitsSection
from stoker.errors import HeadersTooLarge, InvalidRequest, RequestError

SINGLE = frozenset({b"host", b"content-length", b"content-type", b"authorization", b"origin"})
"""Headers that mean different things to different readers when they are repeated."""


class _Refused(Exception):
    """Thrown through the parser, which passes on only that a callback failed."""


class LimitedProtocol(HttpToolsProtocol):
    def __init__(self, limits: LimitsSection, **options: Any) -> None:
        super().__init__(**options)
        self.access_log = False  # it would hold what clients put into paths; app.py has its own
        self._limits = limits
        self._head_bytes = 0
        self._in_head = False
        self._head_timer: TimerHandle | None = None
        self._write_timer: TimerHandle | None = None
        self._refusal: RequestError | None = None

    # --- the connection ---------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        connection = cast("asyncio.Transport", transport)
        size = self._limits.stream_buffer_bytes
        connection.set_write_buffer_limits(high=size)
        # The system would grow its own buffer to megabytes and hide a reader that has stopped.
        connection.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, size)
        super().connection_made(connection)
        self._head_timer = self.loop.call_later(self._limits.header_seconds, self._too_slow)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop(self._head_timer)
        self._stop(self._write_timer)
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """The client reads too slowly. It has send_seconds to make room."""
        super().pause_writing()
        self._write_timer = self.loop.call_later(self._limits.send_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        self._stop(self._write_timer)
        super().resume_writing()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._bound_close()

    def timeout_keep_alive_handler(self) -> None:
        super().timeout_keep_alive_handler()
        self._bound_close()

    def shutdown(self) -> None:
        super().shutdown()
        self._bound_close()

    def _bound_close(self) -> None:
        """A closing connection waits for its buffer to drain; a client may never read it."""
        if self.transport.is_closing():
            self._stop(self._write_timer)
            self._write_timer = self.loop.call_later(
                self._limits.send_seconds, self.transport.abort
            )

    def _stop(self, timer: TimerHandle | None) -> None:
        if timer is not None:
            timer.cancel()

    # --- the head of a request --------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        self._unset_keepalive_if_required()
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._refuse(InvalidRequest("protocol upgrades are not supported"))
        except httptools.HttpParserError:
            self._refuse(self._refusal or InvalidRequest("the request is not valid HTTP/1.1"))

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._head_bytes = 0
        self._in_head = True
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(self._limits.header_seconds, self._too_slow)

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        self._count(len(url), longest=len(self.url))

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._in_head:
            return  # a trailer: nothing may be added to a head that was checked already
        super().on_header(name, value)
        self._count(len(name) + len(value) + 4, longest=len(name) + len(value))
        if len(self.headers) > self._limits.header_count:
            raise self._because(
                HeadersTooLarge(f"there are more than {self._limits.header_count} headers")
            )

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._stop(self._head_timer)
        self._head_timer = None
        self._check_head()
        super().on_headers_complete()

    def _check_head(self) -> None:
        names = [name for name, _ in self.headers]
        repeated = next((name for name in SINGLE if names.count(name) > 1), None)
        if repeated is not None:
            raise self._because(
                InvalidRequest(f"the header '{repeated.decode()}' is given more than once")
            )
        if b"host" not in names:
            raise self._because(InvalidRequest("the Host header is missing"))
        if self.parser.should_upgrade():
            raise self._because(InvalidRequest("protocol upgrades are not supported"))
        if any(n == b"transfer-encoding" and v.lower() != b"chunked" for n, v in self.headers):
            raise self._because(InvalidRequest("the only transfer encoding accepted is chunked"))
        if not self.url.startswith(b"/"):
            raise self._because(InvalidRequest("the request target must be a path"))

    def _count(self, size: int, *, longest: int) -> None:
        self._head_bytes += size
        if longest > self._limits.line_bytes:
            raise self._because(
                HeadersTooLarge(f"a line of the head is over {self._limits.line_bytes} bytes")
            )
        if self._head_bytes > self._limits.header_bytes:
            raise self._because(
                HeadersTooLarge(f"the head is over {self._limits.header_bytes} bytes")
            )

    # --- refusal ----------------------------------------------------------------------------

    def _because(self, error: RequestError) -> _Refused:
        self._refusal = error
        return _Refused()

    def _too_slow(self) -> None:
        """Nothing was asked yet, so there is nothing to answer."""
        self._head_timer = None
        if not self.transport.is_closing():
            self.transport.close()

    def _refuse(self, error: RequestError) -> None:
        """Answers and closes. Inside another answer nothing may be written; that one just ends."""
        if self.cycle and self.cycle.response_started and not self.cycle.response_complete:
            self.transport.abort()
            return
        request_id = f"req_{secrets.token_hex(12)}"
        body = error_body(error, request_id)
        headers = [
            *(header for header in error_headers(error) if header[0] != b"connection"),
            (b"x-request-id", request_id.encode()),
            (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"),
        ]
        lines = b"".join(name + b": " + value + b"\r\n" for name, value in headers)
        self.transport.write(STATUS_LINE[error.status] + lines + b"\r\n" + body)
        self.transport.close()
        self._bound_close()
