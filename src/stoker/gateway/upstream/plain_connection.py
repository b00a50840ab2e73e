"""One connection to a server: a request at a time, and closed at the first thing that is odd."""

from __future__ import annotations

import asyncio
import socket
from asyncio.events import TimerHandle
from collections.abc import Callable
from typing import cast

from stoker.config.fleet_schema import BackendEntry
from stoker.gateway.upstream.pace import Pace
from stoker.gateway.upstream.plain_reply import PlainReply

SYSTEM_BUFFER_BYTES = 64 * 1024
"""The system would let its own grow to megabytes and hide a reader that has stopped."""


class PlainConnection(asyncio.Protocol):
    """`free` is called whenever it may be asked, `lost` once."""

    def __init__(
        self,
        entry: BackendEntry,
        pace: Pace,
        free: Callable[[PlainConnection], None],
        lost: Callable[[PlainConnection], None],
    ) -> None:
        self.idle_since = 0.0
        """On the loop's clock; while nothing is asked."""
        self._first_byte_seconds = entry.first_byte_seconds
        self._silence_seconds = entry.silence_seconds
        self._pace = pace
        self._free = free
        self._lost = lost
        self._loop = asyncio.get_running_loop()
        self._reply: PlainReply | None = None
        self._heard = 0.0
        self._watch: TimerHandle | None = None
        self._ended_orderly = False
        self._transport: asyncio.Transport

    def ask(self, request: bytes) -> PlainReply:
        """Only while it is free."""
        reply = self._reply = PlainReply(self, self._pace, self._loop.create_future())
        self._heard = self._loop.time()
        soonest = min(self._first_byte_seconds, self._silence_seconds)
        self._watch = self._loop.call_at(self._heard + soonest, self._check)
        self._transport.write(request)
        return reply

    def abort(self) -> None:
        """The other end is told at once that nobody listens any more."""
        self._transport.abort()

    # --- for the relay ----------------------------------------------------------------------

    def pause_reading(self) -> None:
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        self._heard = self._loop.time()  # the server was the one that waited
        if not self._transport.is_closing():
            self._transport.resume_reading()

    # --- for the loop -----------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        system = transport.get_extra_info("socket")
        system.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SYSTEM_BUFFER_BYTES)

    def data_received(self, data: bytes) -> None:
        reply = self._reply
        if reply is None:
            self.abort()  # nothing was asked: this would be taken for the next answer
            return
        self._heard = self._loop.time()
        try:
            reply.feed(data)
        except ConnectionError as error:
            reply.fail(error)
            self.abort()
            return
        if reply.complete:
            self._answered(reply)

    def eof_received(self) -> None:
        self._ended_orderly = True

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_watch()
        reply, self._reply = self._reply, None
        if reply is not None and self._ended_orderly:
            reply.closed()
        elif reply is not None:
            reply.fail(ConnectionError("the connection was lost"))
        self._lost(self)

    # --- endings ----------------------------------------------------------------------------

    def _answered(self, reply: PlainReply) -> None:
        """A server that answers before it has the whole request may take its rest for another."""
        self._reply = None
        self._stop_watch()
        if not reply.reusable or self._transport.get_write_buffer_size():
            self.abort()
        elif not self._transport.is_closing():
            self.idle_since = self._heard
            self._free(self)

    def _check(self) -> None:
        reply = self._reply
        if reply is None:
            return
        if reply.waits_for_reader:
            self._heard = self._loop.time()
        limit = self._silence_seconds if reply.status else self._first_byte_seconds
        due = self._heard + limit
        if due > self._loop.time():
            self._watch = self._loop.call_at(due, self._check)
        else:
            reply.fail(TimeoutError("nothing came for too long"))
            self.abort()

    def _stop_watch(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
