"""uvicorn's HTTP/1.1 protocol, with limits on what may arrive before a request is a request.

The parser refuses malformed framing by itself. Added here: sizes, counts and times of the head (its
meaning is checked in head.py), an answer in our own shape, and an end for clients that stop
reading.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
from asyncio.events import TimerHandle
from typing import Any, cast

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from stoker.api.connections import Connections
from stoker.api.errors import error_body, error_headers
from stoker.api.framing import FramingBudget
from stoker.api.head import check_head
from stoker.api.reader_watch import ReaderWatch
from stoker.config.schema import LimitsSection
from stoker.errors import HeadersTooLarge, InvalidRequest, RequestError


class _Refused(Exception):
    """Thrown through the parser, which passes on only that a callback failed."""


class LimitedProtocol(HttpToolsProtocol):
    def __init__(self, limits: LimitsSection, others: Connections, **options: Any) -> None:
        super().__init__(**options)
        self.access_log = False  # it would hold what clients put into paths; app.py has its own
        self._limits = limits
        self._others = others
        self._framing = FramingBudget(limits.header_bytes)
        self._head_bytes = 0
        self._in_head = False
        self._head_timer: TimerHandle | None = None
        self._reader: ReaderWatch
        self._refusal: RequestError | None = None

    # --- the connection ---------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        connection = cast("asyncio.Transport", transport)
        size = self._limits.stream_buffer_bytes
        connection.set_write_buffer_limits(high=size)
        # The system would grow its own buffer to megabytes and hide a reader that has stopped.
        connection.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, size)
        super().connection_made(connection)
        self._reader = ReaderWatch(connection, self._limits, self.loop)
        self._expect_head()
        self._others.opened(self)

    def drop(self) -> None:
        if self.transport.get_write_buffer_size():
            self.transport.abort()  # what it does not read would keep it open
        else:
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._others.closed(self)
        self._stop_head_timer()
        self._reader.stop()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """The client reads more slowly than we write. Meanwhile the deltas of its stream become
        one, in engine/stream.py: whoever writes here waits."""
        super().pause_writing()
        self._reader.start()

    def resume_writing(self) -> None:
        if not self.transport.is_closing():
            self._reader.stop()
        super().resume_writing()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.cycle.response_complete:
            self._others.silent(self)
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
            self._reader.start()

    # --- the head of a request --------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        self._unset_keepalive_if_required()
        if self.cycle is None or self.cycle.response_complete:
            self._expect_head()  # even when these are empty lines, which begin no message
        self._framing.begin_piece()
        try:
            self.parser.feed_data(data)
            self._framing.end_piece(len(data))
        except httptools.HttpParserUpgrade:
            self._refuse(InvalidRequest("protocol upgrades are not supported"))
        except httptools.HttpParserError:
            self._refuse(self._refusal or InvalidRequest("the request is not valid HTTP/1.1"))
        except HeadersTooLarge as error:
            self._refuse(error)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._head_bytes = 0
        self._in_head = True
        self._expect_head()

    def _expect_head(self) -> None:
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
        self._turn()
        try:
            check_head(self.parser.get_http_version(), self.url, self.headers)
        except InvalidRequest as error:
            raise self._because(error) from None
        if self.parser.should_upgrade():
            raise self._because(InvalidRequest("protocol upgrades are not supported"))
        self._others.busy(self)
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._framing.content(len(body))
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._turn()
        super().on_message_complete()

    def _turn(self) -> None:
        """A head or a body is complete."""
        self._framing.turn()
        self._stop_head_timer()

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

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _too_slow(self) -> None:
        """Nothing was asked yet, so there is nothing to answer."""
        self._head_timer = None
        if self.flow.read_paused:
            self._expect_head()  # it is us who do not read
        elif not self.transport.is_closing():
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
