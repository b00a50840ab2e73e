"""How a foreign server is reached: one request, one answer in pieces, and nothing behind it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Protocol

import msgspec


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """Where it goes is the transport's to know: no part of an address is ever a client's."""

    method: str = "POST"
    path: str
    """Below the backend's address; one that begins with a slash, below its host."""
    headers: Mapping[str, str] = {}
    body: bytes = b""


class Reply(Protocol):
    status: int
    headers: Mapping[str, str]
    """By lower-case name."""

    def pieces(self) -> AsyncIterator[bytes]:
        """The body as it arrives. Raises ConnectionError when it is cut, TimeoutError when nothing
        comes for too long."""
        ...


class Transport(Protocol):
    """To one backend."""

    def send(self, call: Call) -> AbstractAsyncContextManager[Reply]:
        """Entered once the head of the answer is there; left, the connection is closed unless the
        answer was read to its end. Redirects are answers like others. Raises ConnectionError and
        TimeoutError."""
        ...

    async def close(self) -> None:
        """Safe to call twice."""
        ...
