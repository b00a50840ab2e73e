"""A slow reader gets everything, in fewer and larger events; one that takes nothing is cut off."""

from __future__ import annotations

import json
import select
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.raw_http import read_all, statuses
from tests.support.server import MODEL, RunningServer, process_server

BUFFER = 4096
TOKENS = 600


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    """Its engine is a process of its own, as in service, and does not wait for anybody."""
    with process_server(stream_buffer_bytes=BUFFER) as running:
        yield running


@pytest.fixture(scope="module")
def impatient() -> Iterator[RunningServer]:
    with process_server(stream_buffer_bytes=BUFFER, send_seconds=0.4) as running:
        yield running


def request(**changes: Any) -> bytes:
    fields = {"model": MODEL, "prompt": "hi", "seed": 1, "max_tokens": TOKENS, **changes}
    body = json.dumps(fields).encode()
    return (
        b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
    ) + body


def unread(server: RunningServer, sent: bytes) -> socket.socket:
    """A request whose client has the smallest receive buffer there is."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    connection.settimeout(30)
    connection.connect(("127.0.0.1", server.port))
    connection.sendall(sent)
    return connection


def read_slowly(connection: socket.socket, per_read: int = 2048) -> bytes:
    """As much as fits into the smallest buffer, then a break."""
    received = b""
    while data := connection.recv(per_read):
        received += data
        select.select([], [], [connection], 0.01)
    return received


def events(answer: bytes) -> list[dict[str, Any]]:
    """Of a chunked event stream that ended well."""
    head, _, rest = answer.partition(b"\r\n\r\n")
    assert b"chunked" in head.lower()
    body = b""
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        body += rest[: int(size, 16)]
        rest = rest[int(size, 16) + 2 :]
    *data, done, nothing = body.split(b"\n\n")
    assert (done, nothing) == (b"data: [DONE]", b"")
    return [json.loads(event.removeprefix(b"data: ")) for event in data]


def text_of(answer: bytes) -> str:
    return "".join(event["choices"][0]["text"] for event in events(answer))


def fast(server: RunningServer, **changes: Any) -> bytes:
    with server.connect() as connection:
        connection.sendall(request(stream=True, **changes))
        return read_all(connection)


def finish_unread(server: RunningServer, **changes: Any) -> socket.socket:
    """Returns when the engine is done with the request, of which nothing was read."""
    before = server.backend.load.output_tokens
    connection = unread(server, request(stream=True, **changes))
    server.until(lambda: server.backend.load.output_tokens >= before + TOKENS)
    server.until(lambda: server.backend.load.used_blocks == 0)
    return connection


def held(server: RunningServer) -> int:
    """Bytes the server keeps for its connections."""
    return server.call(
        lambda: sum(
            connection.transport.get_write_buffer_size()
            for connection in server.server.server_state.connections
        )
    )


@pytest.mark.fault("F07")
def test_what_a_slow_reader_missed_comes_as_one_event(server: RunningServer) -> None:
    """The blocks are back long before: the engine never waits for a reader."""
    expected = fast(server)
    with finish_unread(server) as connection:
        assert held(server) < 2 * BUFFER
        answer = read_slowly(connection)
    assert text_of(answer) == text_of(expected)
    assert len(events(answer)) < TOKENS / 4
    largest = max(len(event["choices"][0]["text"]) for event in events(answer))
    assert largest > TOKENS / 4


@pytest.mark.fault("F07")
def test_nothing_is_lost_of_log_probabilities_either(server: RunningServer) -> None:
    def values(answer: bytes) -> list[float]:
        lists = [event["choices"][0]["logprobs"] for event in events(answer)]
        return [value for one in lists if one for value in one["token_logprobs"]]

    expected = fast(server, logprobs=1)
    with finish_unread(server, logprobs=1) as connection:
        answer = read_slowly(connection, 16384)
    assert values(answer) == values(expected)
    assert len(values(answer)) == TOKENS


@pytest.mark.fault("F07")
def test_a_slow_reader_of_a_whole_answer_is_waited_for(impatient: RunningServer) -> None:
    """It takes several times send_seconds, in which the buffer never gets empty."""
    with unread(impatient, request(logprobs=0)) as connection:
        answer = read_slowly(connection, 256)
    assert statuses(answer) == [200]
    content = json.loads(answer.partition(b"\r\n\r\n")[2])
    assert content["usage"]["completion_tokens"] == TOKENS


@pytest.mark.fault("F07")
def test_a_reader_that_takes_nothing_is_cut_off(impatient: RunningServer) -> None:
    with unread(impatient, request(stream=True, n=8, logprobs=0)) as connection:
        impatient.until(lambda: impatient.backend.load.num_running > 0)
        impatient.until(lambda: not impatient.application.open_requests)
        impatient.until(lambda: impatient.backend.load.used_blocks == 0)
        assert not read_all(connection).endswith(b"0\r\n\r\n"), "a cut stream must not end cleanly"
