"""A foreign server that follows a script: one answer for each request, however bad."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

Script = Callable[["Conversation"], Awaitable[None]]


@dataclass
class Received:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Conversation:
    request: Received
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()


@dataclass
class ScriptedServer:
    """The last script goes on for ever."""

    scripts: list[Script]
    received: list[Received] = field(default_factory=list)
    num_connections: int = 0
    left: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a client leaves before its answer is complete."""
    answered: int = 0
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.num_connections += 1
        try:
            while (request := await _received(reader)) is not None:
                script = self.scripts[min(self.answered, len(self.scripts) - 1)]
                if request.method == "POST":
                    self.answered += 1
                    self.received.append(request)
                    await script(Conversation(request, reader, writer))
                else:
                    await whole({}, status=200)(Conversation(request, reader, writer))
        except (ConnectionError, asyncio.IncompleteReadError):
            self.left.set()
        finally:
            writer.close()


@asynccontextmanager
async def scripted(*scripts: Script) -> AsyncIterator[ScriptedServer]:
    server = ScriptedServer(list(scripts))
    tasks: set[asyncio.Task[None]] = set()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(server.serve(reader, writer))
        tasks.add(task)

    listening = await asyncio.start_server(connected, "127.0.0.1", 0)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)


async def _received(reader: asyncio.StreamReader) -> Received | None:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.rstrip("\r\n").split("\r\n")
    method, path, _ = first.split(" ")
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Received(method, path, headers, body)


# --- answers --------------------------------------------------------------------------------


def whole(answer: Any, status: int = 200, **headers: str) -> Script:
    """A JSON answer; bytes are sent as they are. Names of headers have _ for -."""
    body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    given = {"content_type": "application/json", **headers}
    named = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in given.items())
    head = f"HTTP/1.1 {status} Scripted\r\n{named}content-length: {len(body)}\r\n\r\n"

    async def script(conversation: Conversation) -> None:
        await conversation.send(head.encode() + body)

    return script


def stream(*pieces: bytes, cut: bytes = b"0\r\n\r\n") -> Script:
    """An event stream in these pieces; `cut` replaces its end."""

    async def script(conversation: Conversation) -> None:
        await conversation.send(STREAM_HEAD)
        for piece in pieces:
            await conversation.send(b"%x\r\n%b\r\n" % (len(piece), piece))
            await asyncio.sleep(0)
        await conversation.send(cut)
        if cut != b"0\r\n\r\n":
            raise ConnectionError

    return script


def stalled(*pieces: bytes) -> Script:
    """An event stream that says nothing more after these pieces; it ends when the client leaves."""

    async def script(conversation: Conversation) -> None:
        await conversation.send(STREAM_HEAD)
        for piece in pieces:
            await conversation.send(b"%x\r\n%b\r\n" % (len(piece), piece))
        await conversation.reader.readexactly(1)

    return script


async def silent(conversation: Conversation) -> None:
    """Nothing at all, until the client leaves."""
    await conversation.reader.readexactly(1)


async def hung_up(conversation: Conversation) -> None:
    raise ConnectionError


STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n"
    b"transfer-encoding: chunked\r\n\r\n"
)


# --- what OpenAI says -----------------------------------------------------------------------


def chunk(text: str = "", reason: str | None = None, **more: Any) -> bytes:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": reason}
    return event({"id": "c", "object": "chat.completion.chunk", "choices": [choice], **more})


def usage_chunk(prompt: int, completion: int) -> bytes:
    return event({"id": "c", "object": "chat.completion.chunk", "choices": [],
                  "usage": used(prompt, completion)})  # fmt: skip


def used(prompt: int, completion: int) -> dict[str, int]:
    total = prompt + completion
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": total}


def event(value: Any, name: str = "") -> bytes:
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {json.dumps(value)}\n\n".encode()


DONE = b"data: [DONE]\n\n"


def completion(text: str, prompt: int = 7, tokens: int = 3) -> dict[str, Any]:
    message = {"role": "assistant", "content": text}
    return {"id": "c", "object": "chat.completion", "created": 1, "model": "there",
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": used(prompt, tokens)}  # fmt: skip


GOOD = stream(chunk("Hel"), chunk("lo"), chunk("", "stop"), usage_chunk(7, 3), DONE)
