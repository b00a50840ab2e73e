"""When a client counts as not reading."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from stoker.api.reader_watch import CHECKS, ReaderWatch, unsent
from stoker.config.schema import LimitsSection

LIMITS = LimitsSection(send_seconds=4.0, request_seconds=40.0)
MOST_CHECKS = 40


class Loop:
    """Timers that a test lets fire."""

    def __init__(self) -> None:
        self.due: Callable[[], None] | None = None

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Loop:
        assert seconds == 1.0
        self.due = callback
        return self

    def cancel(self) -> None:
        self.due = None

    def fire(self) -> None:
        due, self.due = self.due, None
        assert due is not None
        due()


class Transport:
    def __init__(self, connection: socket.socket) -> None:
        self.held = 1_000_000
        self.aborted = False
        self._connection = connection

    def get_write_buffer_size(self) -> int:
        return self.held

    def get_extra_info(self, name: str) -> socket.socket:
        assert name == "socket"
        return self._connection

    def abort(self) -> None:
        self.aborted = True


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


@pytest.fixture
def jammed(pair: tuple[socket.socket, socket.socket]) -> tuple[ReaderWatch, Transport, Loop]:
    transport, loop = Transport(pair[0]), Loop()
    watch = ReaderWatch(fits(transport), LIMITS, fits(loop))
    watch.start()
    return watch, transport, loop


def fits(stand_in: object) -> Any:
    return stand_in


def test_a_client_that_takes_nothing_is_cut_off(
    jammed: tuple[ReaderWatch, Transport, Loop],
) -> None:
    _, transport, loop = jammed
    for check in range(CHECKS):
        assert not transport.aborted, check
        loop.fire()
    assert transport.aborted
    assert loop.due is None


def test_a_client_that_takes_a_byte_now_and_then_is_not(
    jammed: tuple[ReaderWatch, Transport, Loop],
) -> None:
    _, transport, loop = jammed
    for check in range(MOST_CHECKS - 1):
        transport.held -= check % (CHECKS - 1) == 0
        loop.fire()
    assert not transport.aborted


def test_but_not_for_longer_than_a_request_may_take(
    jammed: tuple[ReaderWatch, Transport, Loop],
) -> None:
    _, transport, loop = jammed
    for _ in range(MOST_CHECKS):
        transport.held -= 1
        loop.fire()
    assert transport.aborted


def test_a_stopped_watch_cuts_nobody_off_and_starts_afresh(
    jammed: tuple[ReaderWatch, Transport, Loop],
) -> None:
    watch, transport, loop = jammed
    for _ in range(CHECKS - 1):
        loop.fire()
    watch.stop()
    assert loop.due is None
    watch.start()
    for _ in range(CHECKS - 1):
        loop.fire()
    assert not transport.aborted


def test_what_the_system_holds_counts_as_not_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        ours = socket.create_connection(server.getsockname())
        theirs, _ = server.accept()
    with theirs:
        with ours:
            sent = _send_all_that_fits(ours)
            assert 0 < unsent(ours) < sent
        assert unsent(ours) == 0


def _send_all_that_fits(connection: socket.socket) -> int:
    connection.setblocking(False)
    sent = 0
    try:
        while True:
            sent += connection.send(b"x" * 65536)
    except BlockingIOError:
        return sent
