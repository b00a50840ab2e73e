"""Framing, smuggling, slow and oversized heads: refused, and the connection closed (S27, B3)."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.support.raw_http import exchange, read_all, statuses
from tests.support.server import MODEL, RunningServer, local_server

BODY = json.dumps(
    {"model": MODEL, "messages": [{"role": "user", "content": "hi"}], "max_tokens": 1}
).encode()
POST = b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
JSON = b"Content-Type: application/json\r\n"
GET = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n"
CHUNKED = POST + JSON + b"Transfer-Encoding: chunked\r\n\r\n"


def sized(*extra: bytes, body: bytes = BODY) -> bytes:
    return POST + JSON + b"".join(extra) + b"Content-Length: %d\r\n\r\n" % len(body) + body


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    with local_server(header_seconds=0.3, body_seconds=0.3, idle_seconds=1) as running:
        yield running


REFUSED: dict[str, tuple[bytes, int]] = {
    "length and chunked": (sized(b"Transfer-Encoding: chunked\r\n"), 400),
    "chunked and length": (
        POST + JSON + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", 400,
    ),
    "two lengths": (sized(b"Content-Length: 1\r\n"), 400),
    "two equal lengths": (sized(b"Content-Length: %d\r\n" % len(BODY)), 400),
    "negative length": (POST + JSON + b"Content-Length: -1\r\n\r\n", 400),
    "length with a plus": (POST + JSON + b"Content-Length: +1\r\n\r\n{", 400),
    "hexadecimal length": (POST + JSON + b"Content-Length: 0x10\r\n\r\n", 400),
    "length over 2^64": (POST + JSON + b"Content-Length: 99999999999999999999\r\n\r\n", 400),
    "list of lengths": (POST + JSON + b"Content-Length: 1, 1\r\n\r\n{", 400),
    "unknown coding": (POST + JSON + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 400),
    "gzip then chunked": (POST + JSON + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400),
    "two codings": (
        POST + JSON + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n", 400,
    ),
    "coding with a tab": (POST + JSON + b"Transfer-Encoding:\tchunked, chunked\r\n\r\n", 400),
    "chunk size not a number": (CHUNKED + b"Z\r\n\r\n", 400),
    "negative chunk size": (CHUNKED + b"-1\r\n\r\n", 400),
    "chunk size over 2^64": (CHUNKED + b"FFFFFFFFFFFFFFFFF\r\n", 400),
    "chunk without its end": (CHUNKED + b"1\r\n{XX\r\n", 400),
    "chunk with bare line feeds": (CHUNKED + b"1\n{\n0\n\n", 400),
    "bare line feeds": (b"GET /health HTTP/1.1\nHost: localhost\n\n", 400),
    "bare carriage return": (GET + b"X: a\rb\r\n\r\n", 400),
    "NUL in a header": (GET + b"X: a\0b\r\n\r\n", 400),
    "space before the colon": (GET + b"X : a\r\n\r\n", 400),
    "folded header": (GET + b"X: a\r\n b\r\n\r\n", 400),
    "header without a colon": (GET + b"nonsense\r\n\r\n", 400),
    "header without a name": (GET + b": a\r\n\r\n", 400),
    "no host": (b"GET /health HTTP/1.1\r\n\r\n", 400),
    "two hosts": (GET + b"Host: localhost\r\n\r\n", 400),
    "two authorizations": (GET + b"Authorization: a\r\nAuthorization: b\r\n\r\n", 400),
    "HTTP/0.9": (b"GET /health\r\n\r\n", 400),
    "HTTP/2 preface": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    "HTTP/3.7": (b"GET /health HTTP/3.7\r\nHost: localhost\r\n\r\n", 400),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    "lower-case method": (b"get /health HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    "unknown method": (b"BREW /health HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    "CONNECT": (b"CONNECT other:443 HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    "asterisk": (b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    "absolute target": (b"GET http://other/health HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    "byte over 127 in the path": (b"GET /\xff HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    "space in the path": (b"GET /a b HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    "upgrade to h2c": (sized(b"Connection: Upgrade\r\n", b"Upgrade: h2c\r\n"), 400),
    "upgrade to a web socket": (
        GET + b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: a\r\n\r\n", 400,
    ),
    "long path": (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", 431),
    "long header": (GET + b"X: " + b"a" * 9000 + b"\r\n\r\n", 431),
    "long header name": (GET + b"X" * 9000 + b": a\r\n\r\n", 431),
    "many headers": (GET + b"X: a\r\n" * 120 + b"\r\n", 431),
    "many empty headers": (GET + b"X:\r\n" * 20_000 + b"\r\n", 431),
    "large head": (GET + (b"X: " + b"a" * 4000 + b"\r\n") * 20 + b"\r\n", 431),
    "endless header": (GET + b"X: " + b"a" * 1_000_000, 431),
    "declared too large": (POST + JSON + b"Content-Length: 1073741824\r\n\r\n", 413),
    "chunked too large": (CHUNKED + b"100000\r\n" + b" " * 0x100000 + b"\r\n"
                          + b"100001\r\n" + b" " * 0x100001 + b"\r\n0\r\n\r\n", 413),
    "never sent": (POST + JSON + b"Content-Length: 10\r\n\r\n", 408),
    "never finished": (CHUNKED + b"5\r\n{", 408),
    "one chunk, then nothing": (CHUNKED + b"1\r\n{\r\n", 408),
    "no content type": (POST + b"Content-Length: 2\r\n\r\n{}", 415),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_a_broken_request_is_refused_and_the_connection_closed(
    name: str, server: RunningServer
) -> None:
    """A second request follows on the same connection: it must not be answered."""
    sent, status = REFUSED[name]
    answer = exchange(server, sent, GET + b"\r\n" if status != 408 else b"")
    assert statuses(answer) == [status], answer
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"connection: close" in head.lower()
    assert json.loads(body)["error"]["request_id"].startswith("req_")


def test_a_head_that_dawdles_is_cut_off(server: RunningServer) -> None:
    assert exchange(server, GET) == b""
    assert exchange(server) == b""


def test_a_body_in_tiny_chunks_is_read(server: RunningServer) -> None:
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in BODY)
    assert statuses(exchange(server, CHUNKED + chunks + b"0\r\n\r\n"))[0] == 200


def test_trailers_add_nothing(server: RunningServer) -> None:
    whole = b"%x\r\n%b\r\n0\r\nHost: other\r\nX-Request-Timeout: -1\r\n\r\n" % (len(BODY), BODY)
    assert statuses(exchange(server, CHUNKED + whole))[0] == 200


def test_requests_in_a_row_are_answered_in_order(server: RunningServer) -> None:
    answer = exchange(server, GET + b"\r\n" + sized() + GET + b"Connection: close\r\n\r\n")
    assert statuses(answer) == [200, 200, 200]
    assert answer.index(b'"live"') < answer.index(b"chat.completion") < answer.rindex(b'"live"')


def test_rubbish_after_a_request_never_lands_in_its_stream(server: RunningServer) -> None:
    body = BODY[:-1] + b',"stream":true}'
    body = body.replace(b'"max_tokens": 1,', b'"max_tokens": 1500,')
    with server.connect() as connection:
        connection.sendall(sized(body=body))
        first = connection.recv(100)
        connection.sendall(b"\x00rubbish\r\n\r\n")
        answer = first + read_all(connection)
    assert statuses(answer) == [200]


def test_a_hundred_continue_is_granted(server: RunningServer) -> None:
    with server.connect() as connection:
        connection.sendall(sized(b"Expect: 100-continue\r\n", body=BODY)[: -len(BODY)])
        assert connection.recv(100).startswith(b"HTTP/1.1 100 ")
        connection.sendall(BODY)
        assert connection.recv(100).startswith(b"HTTP/1.1 200 ")


def test_head_has_no_body(server: RunningServer) -> None:
    answer = exchange(
        server, b"HEAD /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    )
    assert statuses(answer) == [200]
    assert answer.endswith(b"\r\n\r\n")
