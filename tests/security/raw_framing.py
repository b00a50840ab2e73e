"""How long a body is, told wrongly or twice: rows for test_raw_http.py.

Each row is a name, the bytes sent, and the status of the one answer, after which the connection is
closed. Two readers that disagree about such a request are how one is smuggled past a proxy.
"""

from __future__ import annotations

import json

from tests.support.server import MODEL

BODY = json.dumps(
    {"model": MODEL, "messages": [{"role": "user", "content": "hi"}], "max_tokens": 1}
).encode()
LENGTH = b"Content-Length: %d\r\n" % len(BODY)
CHUNKED_LINE = b"Transfer-Encoding: chunked\r\n"
POST = b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
JSON = b"Content-Type: application/json\r\n"
GET = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n"
CHUNKED = POST + JSON + CHUNKED_LINE + b"\r\n"
SMUGGLED = b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n"
END = b"0\r\n\r\n"


def sized(*extra: bytes, body: bytes = BODY) -> bytes:
    """A good request with more header lines."""
    return POST + JSON + b"".join(extra) + b"Content-Length: %d\r\n\r\n" % len(body) + body


def length(value: bytes) -> bytes:
    """A good request but for its length."""
    return POST + JSON + b"Content-Length:" + value + b"\r\n\r\n" + BODY


def coding(*values: bytes) -> bytes:
    """A whole chunked body under other names of its coding."""
    lines = b"".join(b"Transfer-Encoding:" + value + b"\r\n" for value in values)
    return POST + JSON + lines + b"\r\n" + chunk(BODY) + END


def chunk(data: bytes, after_size: bytes = b"", end: bytes = b"\r\n") -> bytes:
    return b"%x" % len(data) + after_size + end + data + end


Table = dict[str, tuple[bytes, int]]

LENGTHS: Table = {
    "length and chunked": (sized(CHUNKED_LINE), 400),
    "chunked and length": (POST + JSON + CHUNKED_LINE + b"Content-Length: 5\r\n\r\n" + END, 400),
    "length and chunked, a request smuggled by the length": (
        POST + JSON + CHUNKED_LINE + b"Content-Length: %d\r\n\r\n" % len(END + SMUGGLED)
        + END + SMUGGLED, 400,
    ),
    "length and chunked, a request smuggled by the chunks": (
        POST + JSON + b"Content-Length: 4\r\n" + CHUNKED_LINE + b"\r\n"
        + chunk(SMUGGLED) + END, 400,
    ),
    "chunked between two lengths": (
        POST + JSON + LENGTH + CHUNKED_LINE + LENGTH + b"\r\n" + BODY, 400,
    ),
    "zero length and chunked": (
        POST + JSON + b"Content-Length: 0\r\n" + CHUNKED_LINE + b"\r\n" + chunk(BODY) + END, 400,
    ),
    "GET with length and chunked": (GET + b"Content-Length: 5\r\n" + CHUNKED_LINE + b"\r\n" + END,
                                    400),
    "two lengths": (sized(b"Content-Length: 1\r\n"), 400),
    "two equal lengths": (sized(LENGTH), 400),
    "two lengths, one in capitals": (sized(b"CONTENT-LENGTH: 0\r\n"), 400),
    "zero and a length": (sized(b"Content-Length: 0\r\n"), 400),
    "GET with two lengths": (
        GET + b"Content-Length: 0\r\nContent-Length: 44\r\n\r\n" + SMUGGLED, 400,
    ),
    "negative length": (length(b" -1"), 400),
    "minus zero": (length(b" -0"), 400),
    "length with a plus": (length(b" +%d" % len(BODY)), 400),
    "hexadecimal length": (length(b" 0x10"), 400),
    "length in hexadecimal digits": (length(b" 1f"), 400),
    "octal length": (length(b" 0o17"), 400),
    "length with an exponent": (length(b" 1e2"), 400),
    "length with a fraction": (length(b" 10.0"), 400),
    "length with an underscore": (length(b" 1_0"), 400),
    "length with a space inside": (length(b" 1 0"), 400),
    "length with a tab inside": (length(b" 1\t0"), 400),
    "length with a semicolon": (length(b" 10;"), 400),
    "length in quotes": (length(b' "10"'), 400),
    "length in words": (length(b" ten"), 400),
    "empty length": (length(b""), 400),
    "length of spaces": (length(b"   "), 400),
    "length with a NUL": (length(b" 10\x00"), 400),
    "length with a form feed": (length(b"\x0c10"), 400),
    "length with a vertical tab": (length(b"\x0b10"), 400),
    "length in Arabic digits": (length(" \u0661\u0660".encode()), 400),
    "length with a no-break space": (length(b"\xa010"), 400),
    "length over 2^64": (length(b" 99999999999999999999"), 400),
    "length of 2^64": (length(b" 18446744073709551616"), 400),
    "length of four hundred digits": (length(b" " + b"9" * 400), 400),
    "list of lengths": (length(b" 1, 1"), 400),
    "list of equal lengths": (length(b" %d, %d" % (len(BODY), len(BODY))), 400),
    "space before the colon of the length": (
        POST + JSON + b"Content-Length : %d\r\n\r\n" % len(BODY) + BODY, 400,
    ),
    "tab before the colon of the length": (
        POST + JSON + b"Content-Length\t: %d\r\n\r\n" % len(BODY) + BODY, 400,
    ),
    "folded length": (POST + JSON + b"Content-Length:\r\n %d\r\n\r\n" % len(BODY) + BODY, 400),
    "length on two lines": (POST + JSON + b"Content-Length: 1\r\n 0\r\n\r\n" + BODY, 400),
    "declared too large": (POST + JSON + b"Content-Length: 1073741824\r\n\r\n", 413),
    "declared almost 2^64": (POST + JSON + b"Content-Length: 18446744073709551615\r\n\r\n", 413),
    "declared almost 2^63": (POST + JSON + b"Content-Length: 9223372036854775807\r\n\r\n", 413),
}  # fmt: skip

CODINGS: Table = {
    "unknown coding": (coding(b" xchunked"), 400),
    "chunked with an ending": (coding(b" chunkedx"), 400),
    "gzip": (coding(b" gzip"), 400),
    "identity": (coding(b" identity"), 400),
    "identity and a length": (sized(b"Transfer-Encoding: identity\r\n"), 400),
    "gzip then chunked": (coding(b" gzip, chunked"), 400),
    "chunked then gzip": (coding(b" chunked, gzip"), 400),
    "chunked then identity": (coding(b" chunked, identity"), 400),
    "chunked twice on a line": (coding(b" chunked, chunked"), 400),
    "chunked twice after a tab": (coding(b"\tchunked, chunked"), 400),
    "two codings": (coding(b" chunked", b" identity"), 400),
    "two codings, chunked last": (coding(b" identity", b" chunked"), 400),
    "chunked on two lines": (coding(b" chunked", b" chunked"), 400),
    "chunked with a parameter": (coding(b" chunked;q=1"), 400),
    "chunked in quotes": (coding(b' "chunked"'), 400),
    "chunked with spaces after": (coding(b" chunked  "), 400),
    "chunked with a comma before": (coding(b" ,chunked"), 400),
    "chunked with a comma after": (coding(b" chunked,"), 400),
    "chunked with a NUL": (coding(b" chunked\x00"), 400),
    "chunked after a NUL": (coding(b" \x00chunked"), 400),
    "chunked after a vertical tab": (coding(b" \x0bchunked"), 400),
    "chunked with a form feed": (coding(b" chunked\x0c"), 400),
    "chunked with a no-break space": (coding(b"\xa0chunked"), 400),
    "chunked with a dotless letter": (coding(" \u212aunked".encode()), 400),
    "empty coding": (coding(b""), 400),
    "folded coding": (coding(b"\r\n chunked"), 400),
    "coding after a bare line feed": (
        POST + JSON + b"X: a\nTransfer-Encoding: chunked\r\n" + LENGTH + b"\r\n" + BODY, 400,
    ),
    "coding after a bare carriage return": (
        POST + JSON + b"X: a\rTransfer-Encoding: chunked\r\n" + LENGTH + b"\r\n" + BODY, 400,
    ),
    "space before the colon of the coding": (
        POST + JSON + b"Transfer-Encoding : chunked\r\n" + LENGTH + b"\r\n" + BODY, 400,
    ),
    "coding in HTTP/1.0": (coding(b" chunked").replace(b"HTTP/1.1", b"HTTP/1.0", 1), 400),
}  # fmt: skip

CHUNKS: Table = {
    "chunk size not a number": (CHUNKED + b"Z\r\n\r\n", 400),
    "negative chunk size": (CHUNKED + b"-1\r\n\r\n", 400),
    "chunk size with a plus": (CHUNKED + b"+1\r\n{\r\n" + END, 400),
    "chunk size with 0x": (CHUNKED + b"0x1\r\n{\r\n" + END, 400),
    "chunk size with an underscore": (CHUNKED + b"1_0\r\n" + b" " * 16 + b"\r\n" + END, 400),
    "chunk size after a space": (CHUNKED + b" 1\r\n{\r\n" + END, 400),
    "chunk size before a space": (CHUNKED + b"1 \r\n{\r\n" + END, 400),
    "chunk size before a tab": (CHUNKED + b"1\t\r\n{\r\n" + END, 400),
    "chunk size before a NUL": (CHUNKED + b"1\x00\r\n{\r\n" + END, 400),
    "empty chunk size": (CHUNKED + b"\r\n{\r\n" + END, 400),
    "chunk size over 2^64": (CHUNKED + b"FFFFFFFFFFFFFFFFF\r\n", 400),
    "chunk size of 2^64": (CHUNKED + b"10000000000000000\r\n", 400),
    "chunk without its end": (CHUNKED + b"1\r\n{XX\r\n", 400),
    "chunk shorter than it says": (CHUNKED + b"5\r\n{\r\n" + END, 400),
    "chunk longer than it says": (CHUNKED + b"1\r\n{ }\r\n" + END, 400),
    "chunk with bare line feeds": (CHUNKED + chunk(BODY, end=b"\n") + b"0\n\n", 400),
    "chunk size with a bare line feed": (CHUNKED + b"1\n{\r\n" + END, 400),
    "chunk data with a bare line feed": (CHUNKED + b"1\r\n{\n" + END, 400),
    "chunk size with a bare carriage return": (CHUNKED + b"1\r{\r\n" + END, 400),
    "last chunk with a bare line feed": (CHUNKED + b"1\r\n{\r\n0\n\r\n", 400),
    "extension with a bare line feed": (CHUNKED + b"1;a\n{\r\n" + END, 400),
    "extension with a bare carriage return": (CHUNKED + b"1;a\rb\r\n{\r\n" + END, 400),
    "extension with a NUL": (CHUNKED + b"1;\x00\r\n{\r\n" + END, 400),
    "extension without an end to its quotes": (CHUNKED + b'1;a="b\r\n{\r\n' + END, 400),
    "endless extension": (CHUNKED + b"1;" + b"a" * 1_000_000, 431),
    "many extensions": (CHUNKED + (b"1;" + b"a" * 4000 + b"\r\n \r\n") * 250, 431),
    "chunk size of endless zeros": (CHUNKED + b"0" * 1_000_000, 431),
    "trailer without a colon": (CHUNKED + chunk(BODY) + b"0\r\nnonsense\r\n\r\n", 400),
    "trailer with a NUL": (CHUNKED + chunk(BODY) + b"0\r\nX: \x00\r\n\r\n", 400),
    "trailer with a bare line feed": (CHUNKED + chunk(BODY) + b"0\r\nX: a\n\r\n", 400),
    "folded trailer": (CHUNKED + chunk(BODY) + b"0\r\nX: a\r\n b\r\n\r\n", 400),
    "endless trailer": (CHUNKED + chunk(BODY) + b"0\r\nX: " + b"a" * 1_000_000, 431),
    "many trailers": (CHUNKED + chunk(BODY) + b"0\r\n" + b"X: a\r\n" * 160_000, 431),
    "a length as a trailer": (
        CHUNKED + chunk(BODY) + b"0\r\nContent-Length: 5\r\n\r\n", 400,
    ),
    "a coding as a trailer": (
        CHUNKED + chunk(BODY) + b"0\r\nTransfer-Encoding: chunked\r\n\r\n", 400,
    ),
    "chunked too large": (CHUNKED + chunk(b" " * 0x100000) + chunk(b" " * 0x100001) + END, 413),
    "chunk that says it is too large": (CHUNKED + b"7fffffff\r\n" + b" " * 0x200001, 413),
}  # fmt: skip
