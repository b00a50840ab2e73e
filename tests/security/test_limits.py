"""Slow readers, floods, silence and deadlines: each has a bound, and neighbours do not notice."""

from __future__ import annotations

import asyncio
import http.client
import json
import select
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from stoker.text.tokenizer import Tokenizer
from tests.support.raw_http import exchange, read_all, statuses
from tests.support.server import MODEL, RunningServer, local_server

CHAT = "/v1/chat/completions"


def body(**changes: Any) -> bytes:
    return json.dumps(
        {"model": MODEL, "messages": [{"role": "user", "content": "hi"}], "seed": 1, **changes}
    ).encode()


def request(content: bytes, *headers: bytes) -> bytes:
    return b"\r\n".join(
        (
            b"POST /v1/chat/completions HTTP/1.1",
            b"Host: localhost",
            b"Content-Type: application/json",
            b"Content-Length: %d" % len(content),
            *headers,
            b"",
            content,
        )
    )


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    with local_server(send_seconds=0.3, stream_buffer_bytes=4096) as running:
        yield running


def unread(server: RunningServer) -> socket.socket:
    """A connection with the smallest receive buffer there is."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    connection.connect(("127.0.0.1", server.port))
    return connection


@pytest.mark.fault("F07")
def test_readers_that_never_read_are_ended_and_free_their_blocks(server: RunningServer) -> None:
    """Log probabilities make the answers larger than the sockets' own buffers."""
    wanted = body(stream=True, max_tokens=250, n=8, logprobs=True)
    readers = [unread(server) for _ in range(2)]
    for reader in readers:
        reader.sendall(request(wanted))
    server.until(lambda: server.backend.load.num_running > 0)
    server.until(lambda: server.backend.load.used_blocks == 0)
    server.until(lambda: not server.application.open_requests)
    for reader in readers:
        assert not read_all(reader).endswith(b"0\r\n\r\n"), "a cut stream must not end cleanly"
        reader.close()


@pytest.mark.fault("F07")
def test_a_large_answer_nobody_reads_does_not_keep_its_connection(server: RunningServer) -> None:
    wanted = body(max_tokens=250, n=8, logprobs=True)
    with unread(server) as reader:
        reader.sendall(request(wanted, b"Connection: close"))
        server.until(lambda: server.backend.load.num_running > 0)
        server.until(lambda: not server.application.open_requests)
        server.until(lambda: not server.server.server_state.connections)


def test_more_requests_than_may_be_open_are_refused_at_once() -> None:
    with local_server(open_requests=3) as server:
        server.call(server.backend.hold)
        held = [server.connect() for _ in range(3)]
        for connection in held:
            connection.sendall(request(body(stream=True)))
        server.until(lambda: server.application.open_requests == 3)
        answer = exchange(server, request(body(), b"Connection: close"))
        assert statuses(answer) == [429]
        assert b'"overloaded"' in answer
        assert b"retry-after: " in answer
        probe = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        assert statuses(exchange(server, probe)) == [200]
        for connection in held:
            connection.close()
        server.until(lambda: not server.application.open_requests)
        server.call(server.backend.release)


PROBE = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n"


def test_silent_connections_make_room_and_those_with_a_request_stay() -> None:
    with local_server(connections=20) as server:
        server.call(server.backend.hold)
        with server.connect() as stream, server.connect() as answered:
            stream.sendall(request(body(stream=True, max_tokens=4), b"Connection: close"))
            server.until(lambda: server.application.open_requests == 1)
            answered.sendall(PROBE + b"\r\n")
            assert answered.recv(4096).startswith(b"HTTP/1.1 200")
            silent = []
            for number in range(60):
                silent.append(server.connect())
                silent[-1].sendall(b"GET / HTTP/1.1\r\nX-Slow: " if number % 2 else b"")
                assert statuses(exchange(server, PROBE + b"Connection: close\r\n\r\n")) == [200]
            assert len(server.server.server_state.connections) <= 20
            assert read_all(answered) == b""
            assert read_all(silent[0]) == b""
            server.call(server.backend.release)
            assert read_all(stream).count(b"data: [DONE]") == 1
        for connection in silent:
            connection.close()


def completion(prompts: int, n: int) -> bytes:
    wanted = json.dumps({"model": MODEL, "prompt": ["hi"] * prompts, "n": n, "max_tokens": 1})
    asked = request(wanted.encode(), b"Connection: close")
    return asked.replace(b"/chat/", b"/", 1)


def test_as_many_sequences_as_the_engine_holds_are_served_and_one_more_never_is(
    server: RunningServer,
) -> None:
    """320: 64 that run and 256 that wait. To try again would not help, so it is not advised."""
    assert statuses(exchange(server, completion(40, 8))) == [200]
    for prompts, n, param in ((64, 8, b"n"), (41, 8, b"n")):
        answer = exchange(server, completion(prompts, n))
        assert statuses(answer) == [400]
        assert b'"param":"' + param + b'"' in answer
        assert b"320" in answer
        assert b"x-should-retry: false" in answer
        assert b"retry-after" not in answer


def test_what_does_not_fit_now_waits_for_its_turn(server: RunningServer) -> None:
    """How long a line may get is the queue's business: tests/faults/test_overload.py."""
    line = next(iter(server.application.front.services.values())).line
    server.call(server.backend.hold)
    with server.connect() as first, server.connect() as second:
        first.sendall(completion(40, 8))
        server.until(lambda: server.backend.load.num_waiting == 320)
        second.sendall(completion(1, 1))
        server.until(lambda: line.report().waiting == 1)
        assert server.backend.load.num_waiting == 320
        server.call(server.backend.release)
        assert statuses(read_all(first)) == [200]
        assert statuses(read_all(second)) == [200]
    server.until(lambda: server.backend.engine.idle)


def test_health_answers_while_prompts_are_tokenised(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tokenising goes on until health was asked several times."""
    began, go_on = threading.Event(), threading.Event()
    encode = Tokenizer.encode

    def slow(self: Tokenizer, *arguments: Any, **options: Any) -> Any:
        began.set()
        assert go_on.wait(30)
        return encode(self, *arguments, **options)

    monkeypatch.setattr(Tokenizer, "encode", slow)
    long = body(messages=[{"role": "user", "content": "word " * 300_000}])
    with closing(server.connect()) as sender:
        sender.sendall(request(long, b"Connection: close"))
        assert began.wait(30)
        for _ in range(3):
            connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
            connection.request("GET", "/health/live")
            assert connection.getresponse().status == 200
            connection.close()
        assert not select.select([sender], [], [], 0)[0]
        go_on.set()
        assert statuses(read_all(sender)) == [400]


@pytest.mark.parametrize("steps", [0, 3])
def test_a_deadline_is_504_before_the_first_token_and_an_error_event_after_it(
    server: RunningServer, steps: int
) -> None:
    server.call(server.backend.hold)
    asked = request(
        body(stream=True, max_tokens=100), b"X-Request-Timeout: 0.2", b"Connection: close"
    )
    with server.connect() as connection:
        connection.sendall(asked)
        server.until(lambda: server.backend.load.num_waiting == 1)
        passed = time.monotonic() + 0.2
        server.call(lambda: server.backend.let_step(steps))
        server.until(lambda: time.monotonic() > passed)
        server.call(server.backend.let_step)
        answer = read_all(connection)
    server.call(server.backend.release)
    assert statuses(answer) == ([200] if steps else [504])
    assert b'"deadline_exceeded"' in answer
    assert b"[DONE]" not in answer


async def test_silence_is_broken_by_comments() -> None:
    from stoker.api.exchange import Exchange
    from stoker.api.sse import EventStream
    from stoker.config.schema import LimitsSection

    sent: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        sent.append(dict(message))

    async def receive() -> dict[str, Any]:
        await asyncio.Event().wait()
        return {}

    exchange = Exchange({"headers": []}, receive, send, LimitsSection(), "req_1")
    stream = EventStream(exchange, silence=0.01)

    async def work() -> None:
        while len(sent) < 4:
            await asyncio.sleep(0)
        await stream.finish(b"data: last\n\n")

    await exchange.while_connected(work(), stream.keep_alive)
    assert sent[0]["status"] == 200
    assert [message["body"] for message in sent[1:4]] == [b": waiting\n\n"] * 3
    assert sent[-1]["body"] == b"data: last\n\ndata: [DONE]\n\n"
