"""The bytes of one answer between the connection they come from and whoever passes them on."""

from __future__ import annotations

import asyncio
from typing import Protocol

from stoker.gateway.upstream.pace import Pace

MOST_HELD = 64 * 1024
"""Bytes, and what one read brings beyond them; then the server has to wait."""


class Valve(Protocol):
    """Where the bytes come from."""

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


class Relay:
    """Holds little: a reader that takes nothing stops the server. The first piece is there at once;
    later ones keep to the pace."""

    __slots__ = ("_begun", "_ended", "_error", "_held", "_pace", "_pieces", "_valve", "_waiter",
                 "full")  # fmt: skip

    def __init__(self, valve: Valve, pace: Pace) -> None:
        self.full = False
        """Nothing more comes until something is taken."""
        self._valve = valve
        self._pace = pace
        self._pieces: list[bytes] = []
        self._held = 0
        self._begun = False
        self._ended = False
        self._error: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None

    def put(self, piece: bytes) -> None:
        self._pieces.append(piece)
        self._held += len(piece)
        if self._held >= MOST_HELD and not self.full:
            self.full = True
            self._valve.pause_reading()
        if self._waiter is None or len(self._pieces) > 1:
            return  # nobody waits, or whoever does has been announced already
        if self._begun:
            self._pace.arrived(self)
        else:
            self._begun = True
            self.wake()

    def end(self, error: Exception | None = None) -> None:
        """What was put is still taken first, whatever happened after it."""
        self._ended = True
        self._error = error
        self._open_valve()
        self.wake()

    def wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def take(self) -> bytes:
        """All that is there; waits for the first of it. Empty at the end. Raises the error given
        to `end`."""
        while not self._pieces:
            if self._ended:
                if self._error is not None:
                    raise self._error
                return b""
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        return self._taken()

    def _taken(self) -> bytes:
        pieces, self._pieces, self._held = self._pieces, [], 0
        self._open_valve()
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _open_valve(self) -> None:
        if self.full:
            self.full = False
            self._valve.resume_reading()
