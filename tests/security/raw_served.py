"""Odd requests that are served, because everybody reads them the same way: rows for
test_raw_http.py. A row is a name, the bytes sent, and the statuses of all answers to them. After
those of CLOSING the connection ends; after the others it takes another request."""

from __future__ import annotations

from tests.security.raw_framing import (
    BODY,
    CHUNKED,
    END,
    GET,
    JSON,
    LENGTH,
    POST,
    chunk,
    coding,
    length,
    sized,
)
from tests.security.raw_heads import header, line

LIVE = GET + b"\r\n"
WHOLE = chunk(BODY) + END

BODIES: dict[str, tuple[bytes, list[int]]] = {
    "length with zeros before it": (length(b" 000%d" % len(BODY)), [200]),
    "length in spaces and tabs": (length(b" \t %d \t " % len(BODY)), [200]),
    "length without a space": (length(b"%d" % len(BODY)), [200]),
    "GET with a length of zero": (header(b"Content-Length: 0"), [200]),
    "GET with a body": (GET + b"Content-Length: 3\r\n\r\nabc", [200]),
    "GET with a request as its body": (
        GET + b"Content-Length: %d\r\n\r\n" % len(LIVE) + LIVE, [200],
    ),
    "GET with a chunked body": (GET + b"Transfer-Encoding: chunked\r\n\r\n" + WHOLE, [200]),
    "POST without a body": (POST + JSON + b"\r\n", [400]),
    "length with an underscore in its name": (sized(b"Content_Length: 1\r\n"), [200]),
    "coding with an underscore in its name": (sized(b"Transfer_Encoding: chunked\r\n"), [200]),
    "length as a hop-by-hop header": (sized(b"Connection: Content-Length\r\n"), [200]),
    "coding in capitals": (coding(b" CHUNKED"), [200]),
    "coding after a tab": (coding(b"\tchunked"), [200]),
    "chunk sizes in capitals": (CHUNKED + chunk(BODY).upper()[:2] + chunk(BODY)[2:] + END, [200]),
    "chunk size with zeros before it": (CHUNKED + b"0000" + WHOLE, [200]),
    "last chunk of several zeros": (CHUNKED + chunk(BODY) + b"000\r\n\r\n", [200]),
    "chunk extension": (CHUNKED + chunk(BODY, b";a=b") + END, [200]),
    "chunk extension in quotes": (CHUNKED + chunk(BODY, b';a="b;c"') + END, [200]),
    "chunk extension without a value": (CHUNKED + chunk(BODY, b";a;b") + END, [200]),
    "extension of the last chunk": (CHUNKED + chunk(BODY) + b"0;a=b\r\n\r\n", [200]),
    "chunks of one byte": (CHUNKED + b"".join(chunk(b"%c" % byte) for byte in BODY) + END, [200]),
    "trailers": (CHUNKED + chunk(BODY) + b"0\r\nX: a\r\nY: b\r\n\r\n", [200]),
    "trailers that would change the head": (
        CHUNKED + chunk(BODY) + b"0\r\nHost: other\r\nX-Request-Timeout: -1\r\n\r\n", [200],
    ),
    "continue": (sized(b"Expect: 100-continue\r\n"), [100, 200]),
    "continue in capitals": (sized(b"EXPECT: 100-CONTINUE\r\n"), [100, 200]),
    "continue without a body": (header(b"Expect: 100-continue"), [200]),
    "expecting what nobody knows": (sized(b"Expect: 200-ok\r\n"), [200]),
}  # fmt: skip

HEADS: dict[str, tuple[bytes, list[int]]] = {
    "empty line before the request": (b"\r\n" + LIVE, [200]),
    "byte over 127 in a header": (header(b"X: \xff\xfe"), [200]),
    "UTF-8 in a header": (header("X: \u00e9\U0001f525".encode()), [200]),
    "tab in a header": (header(b"X: a\tb"), [200]),
    "empty header": (header(b"X:"), [200]),
    "header of spaces": (header(b"X:    "), [200]),
    "every character a name may have": (header(b"!#$%&'*+-.^_`|~09azAZ: a"), [200]),
    "a hundred headers": (GET + b"X: a\r\n" * 99 + b"\r\n", [200]),
    "upgrade without a connection": (header(b"Upgrade: h2c"), [200]),
    "wanting trailers": (header(b"TE: trailers"), [200]),
    "host as a hop-by-hop header": (header(b"Connection: Host, Authorization"), [200]),
    "other methods in headers": (header(b"X-HTTP-Method-Override: POST"), [200]),
    "other paths in headers": (header(b"X-Original-URL: /x\r\nX-Rewrite-URL: /x"), [200]),
    "other hosts in headers": (header(b"X-Forwarded-Host: o\r\nForwarded: host=o"), [200]),
    "a range": (header(b"Range: bytes=0-0"), [200]),
    "conditions": (header(b"If-None-Match: *\r\nIf-Match: a"), [200]),
    "a query": (line(b"GET /health?a=%00%zz HTTP/1.1"), [200]),
    "an escaped letter": (line(b"GET /%68ealth HTTP/1.1"), [200]),
    "two slashes": (line(b"GET //health HTTP/1.1"), [404]),
    "a slash at the end": (line(b"GET /health/ HTTP/1.1"), [404]),
    "dots": (line(b"GET /v1/../health HTTP/1.1"), [404]),
    "escaped dots": (line(b"GET /v1/%2e%2e/health HTTP/1.1"), [404]),
    "backslashes": (line(b"GET /v1\\..\\health HTTP/1.1"), [404]),
    "a path parameter": (line(b"GET /health;a=b HTTP/1.1"), [404]),
    "escaped bytes that are no text": (line(b"GET /%ff%fe HTTP/1.1"), [404]),
    "an address as the path": (line(b"GET /http://other/ HTTP/1.1"), [404]),
    "TRACE": (line(b"TRACE /health HTTP/1.1"), [405]),
    "PUT": (line(b"PUT /health HTTP/1.1"), [405]),
    "DELETE": (line(b"DELETE /health HTTP/1.1"), [405]),
    "PURGE": (line(b"PURGE /health HTTP/1.1"), [405]),
    "PROPFIND": (line(b"PROPFIND /health HTTP/1.1"), [405]),
    "OPTIONS": (line(b"OPTIONS /health HTTP/1.1"), [405]),
    "pipelined": (LIVE + sized() + LIVE + sized(), [200, 200, 200, 200]),
    "pipelined after an empty line": (LIVE + b"\r\n" + LIVE, [200, 200]),
    "fifty pipelined": (LIVE * 50, [200] * 50),
    "two pieces of a head over one line's limit": (
        GET + b"X: " + b"a" * 8000 + b"\r\nY: " + b"a" * 8000 + b"\r\n\r\n", [200],
    ),
    "length again under another name": (sized(b"X-" + LENGTH), [200]),
}  # fmt: skip

CLOSING: dict[str, tuple[bytes, list[int]]] = {
    "HTTP/1.0": (b"GET /health HTTP/1.0\r\nHost: localhost\r\n\r\n" + LIVE, [200]),
    "HTTP/1.0 that wants to stay": (
        b"GET /health HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n" + LIVE, [200],
    ),
    "a request after a closing one": (GET + b"Connection: close\r\n\r\n" + LIVE, [200]),
    "rubbish after a closing one": (GET + b"Connection: close\r\n\r\n\0\0\0", [200]),
    "closing and staying": (header(b"Connection: keep-alive, close"), [200]),
}  # fmt: skip
