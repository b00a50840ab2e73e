"""Asks the application as a client would, without a connection: for requests out of a file."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from stoker.api.app import Application
from stoker.api.asgi import Message, Scope
from stoker.api.gates import PRINCIPAL
from stoker.gateway.tenant import Principal

CLIENT = ("127.0.0.1", 0)


class Reply(NamedTuple):
    status: int
    request_id: str
    retry_after: float | None
    """Seconds, where the answer says that asking again may help."""
    body: bytes


async def ask(application: Application, path: str, body: bytes, principal: Principal) -> Reply:
    """POSTs JSON in the name of `principal`. Cancelled, the request is."""
    call = _Call(body)
    await application(_scope(path, len(body), principal), call.receive, call.send)
    return call.reply()


def _scope(path: str, size: int, principal: Principal) -> Scope:
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [
            (b"host", b"localhost"),
            (b"content-type", b"application/json"),
            (b"content-length", str(size).encode()),
        ],
        "client": CLIENT,
        "server": CLIENT,
        PRINCIPAL: principal,
    }


class _Call:
    def __init__(self, body: bytes) -> None:
        self._unread: bytes | None = body
        self._for_ever = asyncio.Event()
        self._status = 0
        self._headers: dict[bytes, bytes] = {}
        self._parts: list[bytes] = []

    async def receive(self) -> Message:
        """The body; after it nothing more happens."""
        if self._unread is None:
            await self._for_ever.wait()
        body, self._unread = self._unread, None
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            self._headers = dict(message["headers"])
        else:
            self._parts.append(message.get("body", b""))

    def reply(self) -> Reply:
        after = self._headers.get(b"retry-after")
        request_id = self._headers.get(b"x-request-id", b"").decode("latin-1")
        seconds = float(after) if after is not None else None
        return Reply(self._status, request_id, seconds, b"".join(self._parts))
