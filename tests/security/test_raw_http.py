"""Framing, smuggling, slow and oversized heads, each beside a healthy stream (S27, B3).

The tables are in raw_framing.py, raw_heads.py and raw_served.py.
"""

from __future__ import annotations

import json
import select
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.security.raw_framing import (
    BODY,
    CHUNKED,
    CHUNKS,
    CODINGS,
    GET,
    JSON,
    LENGTHS,
    POST,
    chunk,
    sized,
)
from tests.security.raw_heads import HEADERS, LINES, line
from tests.security.raw_served import BODIES, CLOSING, HEADS
from tests.support.healthy_stream import HealthyStream
from tests.support.raw_http import exchange, read_all, statuses
from tests.support.server import RunningServer, local_server

REFUSED = {**LENGTHS, **CODINGS, **CHUNKS, **LINES, **HEADERS}
SERVED = {**BODIES, **HEADS}

SLOW_HEADS = {
    "nothing at all": b"",
    "half a method": b"GE",
    "half a path": b"GET /heal",
    "half a version": b"GET /health HTT",
    "a line without its feed": b"GET /health HTTP/1.1\r",
    "a first line": b"GET /health HTTP/1.1\r\n",
    "half a header's name": GET + b"X-Som",
    "half a header": GET + b"X: a",
    "a whole header": GET + b"X: a\r\n",
    "no empty line at the end": GET,
    "half an empty line": GET + b"\r",
    "empty lines": b"\r\n" * 5,
    "half of the HTTP/2 preface": b"PRI * HTTP/2",
    "half a head after a whole request": GET + b"\r\nGET /health HT",
}
"""Stop here, and the connection is closed; what was whole is answered first."""

SLOW_BODIES = {
    "never sent": POST + JSON + b"Content-Length: 10\r\n\r\n",
    "half a body": POST + JSON + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY[:9],
    "all but one byte": POST + JSON + b"Content-Length: %d\r\n\r\n" % (len(BODY) + 1) + BODY,
    "no chunk": CHUNKED,
    "half a chunk's size": CHUNKED + b"1",
    "half an extension": CHUNKED + b"1;a",
    "half a chunk": CHUNKED + b"5\r\n{",
    "one chunk": CHUNKED + b"1\r\n{\r\n",
    "all chunks but the last": CHUNKED + chunk(BODY),
    "half of the last chunk": CHUNKED + chunk(BODY) + b"0\r\n",
    "half a trailer": CHUNKED + chunk(BODY) + b"0\r\nX: a",
}
"""Stop here, and the answer is 408."""

DRIPPED: dict[str, tuple[bytes, bytes, list[int]]] = {
    "a method": (b"", b"G", [400]),
    "a path": (b"GET /", b"a", []),
    "headers": (GET, b"X: a\r\n", []),
    "a header": (GET + b"X: ", b"a", []),
    "empty lines": (b"", b"\r\n", []),
    "a body": (POST + JSON + b"Content-Length: 100000\r\n\r\n", b" ", [408]),
    "chunks": (CHUNKED, b"1\r\n \r\n", [408]),
    "an extension": (CHUNKED + b"1;", b"a", [408]),
    "trailers": (CHUNKED + chunk(BODY) + b"0\r\n", b"X: a\r\n", [408]),
}
"""What is sent at once, what then drips without an end, and the answer."""


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    with local_server(idle_seconds=1) as running:
        yield running


@pytest.fixture(scope="module")
def neighbour(server: RunningServer) -> Iterator[HealthyStream]:
    with HealthyStream(server) as stream:
        yield stream


@pytest.mark.parametrize("name", REFUSED)
def test_a_broken_request_is_refused_and_the_connection_closed(
    name: str, server: RunningServer, neighbour: HealthyStream
) -> None:
    """A second request follows on the same connection: it must not be answered."""
    sent, status = REFUSED[name]
    answer = exchange(server, sent, GET + b"\r\n")
    assert statuses(answer) == [status], answer
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"connection: close" in head.lower()
    assert json.loads(body)["error"]["request_id"].startswith("req_")
    assert not neighbour.problems


@pytest.mark.parametrize("name", SERVED)
def test_an_odd_request_is_served_and_leaves_the_next_one_whole(
    name: str, server: RunningServer, neighbour: HealthyStream
) -> None:
    sent, expected = SERVED[name]
    answer = exchange(server, sent, GET + b"Connection: close\r\n\r\n")
    assert statuses(answer) == [*expected, 200], answer
    assert answer.endswith(b'{"status":"live"}')
    assert not neighbour.problems


@pytest.mark.parametrize("name", CLOSING)
def test_nothing_is_answered_after_a_closing_request(
    name: str, server: RunningServer, neighbour: HealthyStream
) -> None:
    sent, expected = CLOSING[name]
    answer = exchange(server, sent, GET + b"\r\n")
    assert statuses(answer) == expected, answer
    assert b"connection: close" in answer.lower()
    assert not neighbour.problems


def test_there_are_many_rows() -> None:
    tables = (REFUSED, SERVED, CLOSING, SLOW_HEADS, SLOW_BODIES, DRIPPED)
    assert sum(len(table) for table in tables) >= 300


# --- time -----------------------------------------------------------------------------------


def test_heads_that_stop_are_cut_off() -> None:
    with local_server(header_seconds=0.5) as server, HealthyStream(server):
        answers = all_at_once(SLOW_HEADS, lambda sent: exchange(server, sent))
    for name, answer in answers.items():
        whole = name.endswith("after a whole request")
        assert statuses(answer) == ([200] if whole else []), (name, answer)


def test_an_empty_line_is_the_beginning_of_a_head() -> None:
    """Else a connection could be held for ever by one now and then."""
    with local_server(header_seconds=0.5) as server, server.connect() as connection:
        connection.sendall(GET + b"\r\n")
        assert connection.recv(1000).startswith(b"HTTP/1.1 200")
        connection.sendall(b"\r\n")
        assert read_all(connection) == b""


def test_bodies_that_stop_are_408() -> None:
    with local_server(body_seconds=0.5) as server, HealthyStream(server):
        answers = all_at_once(SLOW_BODIES, lambda sent: exchange(server, sent))
    for name, answer in answers.items():
        assert statuses(answer) == [408], (name, answer)
        assert b"connection: close" in answer
        assert b'"request_timeout"' in answer


def test_drips_do_not_keep_a_request_alive() -> None:
    with local_server(header_seconds=0.5, body_seconds=0.5) as server, HealthyStream(server):
        answers = all_at_once(DRIPPED, lambda row: drip(server, row[0], row[1]))
    for name, answer in answers.items():
        assert statuses(answer) == DRIPPED[name][2], (name, answer)


def all_at_once(rows: dict[str, Any], send: Callable[[Any], bytes]) -> dict[str, bytes]:
    with ThreadPoolExecutor(len(rows)) as pool:
        return dict(zip(rows, pool.map(send, rows.values()), strict=True))


def drip(server: RunningServer, start: bytes, drop: bytes) -> bytes:
    """Sends a drop whenever 20 ms pass without an answer."""
    with server.connect() as connection:
        try:
            connection.sendall(start)
            for _ in range(500):
                if select.select([connection], [], [], 0.02)[0]:
                    break
                connection.sendall(drop)
        except OSError:
            pass  # closed already; what it said is still there to read
        return read_all(connection)


def test_an_endless_head_is_refused_before_it_is_over(server: RunningServer) -> None:
    """No line break ever comes, so the parser never reports the header."""
    with server.connect() as connection:
        connection.sendall(GET + b"X: " + b"a" * 100_000)
        assert statuses(read_all(connection)) == [431]


# --- whole conversations --------------------------------------------------------------------


def test_requests_in_a_row_are_answered_in_order(server: RunningServer) -> None:
    answer = exchange(server, GET + b"\r\n" + sized() + GET + b"Connection: close\r\n\r\n")
    assert statuses(answer) == [200, 200, 200]
    assert answer.index(b'"live"') < answer.index(b"chat.completion") < answer.rindex(b'"live"')


@pytest.mark.parametrize("rubbish", [b"\0rubbish\r\n\r\n", b"\r\n" * 1000, b"GET /health HTT"])
def test_rubbish_after_a_request_never_lands_in_its_stream(
    rubbish: bytes, server: RunningServer
) -> None:
    body = BODY[:-1] + b',"stream":true}'
    body = body.replace(b'"max_tokens": 1,', b'"max_tokens": 1500,')
    with server.connect() as connection:
        connection.sendall(sized(body=body))
        first = connection.recv(100)
        connection.sendall(rubbish)
        connection.shutdown(socket.SHUT_WR)
        answer = first + read_all(connection)
    assert statuses(answer) == [200]
    assert b"rubbish" not in answer


def test_a_hundred_continue_is_granted(server: RunningServer) -> None:
    with server.connect() as connection:
        connection.sendall(sized(b"Expect: 100-continue\r\n", body=BODY)[: -len(BODY)])
        assert connection.recv(100).startswith(b"HTTP/1.1 100 ")
        connection.sendall(BODY)
        assert connection.recv(100).startswith(b"HTTP/1.1 200 ")


def test_a_body_too_large_is_refused_instead_of_continued(server: RunningServer) -> None:
    large = b"Expect: 100-continue\r\nContent-Length: 1073741824\r\n\r\n"
    assert statuses(exchange(server, POST + JSON + large)) == [413]


def test_a_request_in_pieces_of_one_byte_is_served(server: RunningServer) -> None:
    sent = sized(b"Connection: close\r\n")
    with server.connect() as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in sent:
            connection.sendall(b"%c" % byte)
        assert statuses(read_all(connection)) == [200]


def test_head_has_no_body(server: RunningServer) -> None:
    answer = exchange(server, line(b"HEAD /health HTTP/1.1")[:-2] + b"Connection: close\r\n\r\n")
    assert statuses(answer) == [200]
    assert answer.endswith(b"\r\n\r\n")
