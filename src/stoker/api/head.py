"""Heads of requests that proxies and servers understand differently: none of them is served."""

from __future__ import annotations

import re
from collections.abc import Sequence

from stoker.errors import InvalidRequest

SINGLE = frozenset({b"host", b"content-length", b"content-type", b"authorization", b"origin"})
"""Headers that mean different things to different readers when they are repeated."""
VERSIONS = frozenset({"1.0", "1.1"})
_BAD_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})|%[01][0-9A-Fa-f]|%7[Ff]")
"""Not an escape, or one of a control character."""


def check_head(version: str, target: bytes, headers: Sequence[tuple[bytes, bytes]]) -> None:
    """Header names are in lower case. Raises InvalidRequest."""
    if version not in VERSIONS:
        raise InvalidRequest("the request is not HTTP/1.0 or HTTP/1.1")
    names = [name for name, _ in headers]
    repeated = next((name for name in SINGLE if names.count(name) > 1), None)
    if repeated is not None:
        raise InvalidRequest(f"the header '{repeated.decode()}' is given more than once")
    if b"host" not in names:
        raise InvalidRequest("the Host header is missing")
    _check_coding(version, [value for name, value in headers if name == b"transfer-encoding"])
    _check_target(target)


def _check_coding(version: str, codings: Sequence[bytes]) -> None:
    """HTTP/1.0 has none, and who reads it may take the chunks for content (RFC 9112, 6.1)."""
    if codings and (version != "1.1" or len(codings) > 1 or codings[0].lower() != b"chunked"):
        raise InvalidRequest("the only transfer encoding accepted is chunked, in HTTP/1.1")


def _check_target(target: bytes) -> None:
    if not target.startswith(b"/"):
        raise InvalidRequest("the request target must be a path")
    if b"#" in target:
        raise InvalidRequest("the request target has a fragment")
    if _BAD_ESCAPE.search(target.partition(b"?")[0]):
        raise InvalidRequest("the path holds an escape that is not a printable character's")
