"""Tells a client that reads slowly, which is waited for, from one that does not read at all."""

from __future__ import annotations

import asyncio
import fcntl
import socket
import struct
import termios
from asyncio.events import TimerHandle

from stoker.config.schema import LimitsSection

CHECKS = 4
"""In send_seconds. When this process itself was stopped for a while, that counts as one."""
_INT = struct.Struct("i")


class ReaderWatch:
    """Breaks a jammed connection off when the client takes nothing for send_seconds, or when it
    is jammed for longer than a whole request may take."""

    def __init__(
        self,
        transport: asyncio.Transport,
        limits: LimitsSection,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._transport = transport
        self._loop = loop
        self._pause = limits.send_seconds / CHECKS
        self._most_checks = round(limits.request_seconds / self._pause)
        self._timer: TimerHandle | None = None
        self._untaken = 0
        self._idle_checks = 0
        self._checks = 0

    def start(self) -> None:
        """There is something the client has to take. Starting again changes nothing."""
        if self._timer is None:
            self._untaken = self._measure()
            self._idle_checks = self._checks = 0
            self._timer = self._loop.call_later(self._pause, self._check)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _check(self) -> None:
        untaken = self._measure()
        self._checks += 1
        self._idle_checks = 0 if untaken < self._untaken else self._idle_checks + 1
        self._untaken = untaken
        if self._idle_checks >= CHECKS or self._checks >= self._most_checks:
            self._timer = None
            self._transport.abort()
        else:
            self._timer = self._loop.call_later(self._pause, self._check)

    def _measure(self) -> int:
        """Bytes written and not taken: ours, and the system's, in which much must change before
        it accepts one byte more."""
        held = self._transport.get_write_buffer_size()
        return held + unsent(self._transport.get_extra_info("socket"))


def unsent(connection: socket.socket) -> int:
    """Bytes in the system's send queue that the other end has not acknowledged."""
    try:
        answer = fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, _INT.pack(0))
    except (OSError, ValueError):
        return 0  # closed already
    return int(_INT.unpack(answer)[0])
