"""A client leaves at any point of a request, streaming or not: what it held is given back (F06)."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator

import pytest

from tests.support.raw_http import exchange, statuses
from tests.support.server import MODEL, RunningServer, local_server

TOKENS = 8
STEPS_AFTER = 3
"""So many steps the engine may still make."""


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    with local_server() as running:
        yield running


def request(stream: bool, close: bool = False) -> bytes:
    fields = {"model": MODEL, "prompt": "leaving", "seed": 1, "max_tokens": TOKENS}
    body = json.dumps(fields | {"stream": stream, "ignore_eos": True}).encode()
    head = b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\n"
    head += b"Connection: close\r\n" if close else b""
    kind = b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
    return head + kind + body


def sent_until(server: RunningServer, point: str, stream: bool) -> socket.socket:
    """A connection whose request has come as far as that."""
    connection = server.connect()
    whole = request(stream)
    head = whole.index(b"\r\n\r\n") + 4
    if point in ("head", "body"):
        connection.sendall(whole[: head - 10 if point == "head" else head + 5])
        return connection
    before = server.backend.load.num_steps
    connection.sendall(whole)
    server.until(lambda: server.backend.load.num_waiting == 1)
    steps = TOKENS if point == "end" else int(point.removeprefix("step "))
    server.call(lambda: server.backend.let_step(steps))
    server.until(lambda: server.backend.load.num_steps == before + steps)
    if point == "end":
        server.until(lambda: not server.application.open_requests)
    return connection


POINTS = ["head", "body", *(f"step {number}" for number in range(TOKENS)), "end"]


@pytest.mark.fault("F06")
@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
def test_nothing_is_left_of_a_client_that_leaves(
    server: RunningServer, point: str, stream: bool, reset: bool
) -> None:
    expected = exchange(server, request(stream, close=True)) if point == "head" else b""
    server.call(server.backend.hold)
    connection = sent_until(server, point, stream)
    if reset:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    connection.close()
    server.until(lambda: not server.application.open_requests)
    server.until(lambda: not server.server.server_state.connections)
    server.call(lambda: server.backend.let_step(STEPS_AFTER))
    server.until(lambda: server.backend.engine.idle)
    load = server.backend.load
    assert (load.used_blocks, load.num_running, load.num_waiting) == (0, 0, 0)
    server.call(server.backend.release)
    if expected:
        again = exchange(server, request(stream, close=True))
        assert statuses(again) == statuses(expected) == [200]
