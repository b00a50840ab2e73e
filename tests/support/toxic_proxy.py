"""A TCP proxy that does to a connection what networks do: cut, slice, delay, swallow, reset."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

CHUNK = 64 * 1024


class Toxic:
    """What happens to the bytes that come from the server; requests always pass. Changed at any
    time; it holds for connections that are open, too."""

    def __init__(self) -> None:
        self.cut_after: int | None = None
        """Bytes of one connection, after which it is closed."""
        self.slice = CHUNK
        """Bytes passed on at a time."""
        self.delay = 0.0
        """Seconds that every piece takes longer."""
        self.swallow = False
        """Nothing arrives any more, and nobody is told."""
        self.reset = False
        """Cuts are resets."""
        self.refuse = False
        """New connections are closed at once."""
        self.passed = 0
        """Bytes of all connections."""


class ToxicProxy:
    def __init__(self, port: int, target: int) -> None:
        self.port = port
        self.toxic = Toxic()
        self.target = target
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._serve(reader, writer)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            self._close(writer)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.toxic.refuse:
            return
        there, back = await asyncio.open_connection("127.0.0.1", self.target)
        try:
            async with asyncio.TaskGroup() as group:
                up = group.create_task(_copy(reader, back))
                await self._down(there, writer)
                up.cancel()
        finally:
            back.close()

    async def _down(self, there: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        sent = 0
        while data := await there.read(CHUNK):
            while data:
                if self.toxic.swallow:
                    await asyncio.Event().wait()
                size = min(len(data), self.toxic.slice)
                left = self.toxic.cut_after
                size = size if left is None else min(size, left - sent)
                if size > 0:
                    await asyncio.sleep(self.toxic.delay)
                    writer.write(data[:size])
                    await writer.drain()
                    self.toxic.passed += size
                    sent, data = sent + size, data[size:]
                if left is not None and sent >= left:
                    return

    def _close(self, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            if self.toxic.reset:
                connection = writer.get_extra_info("socket")
                linger = struct.pack("ii", 1, 0)
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            writer.close()

    def kill(self) -> None:
        """As if the machine behind it were gone, and at once noticed."""
        self.toxic.refuse = True
        for task in list(self._tasks):
            task.cancel()

    async def close(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(CHUNK):
        writer.write(data)
        await writer.drain()


@asynccontextmanager
async def toxic_proxy(target: int) -> AsyncIterator[ToxicProxy]:
    """In front of a port of this machine."""
    serve: Callable[..., object] = lambda reader, writer: proxy.serve(reader, writer)  # noqa: E731
    server = await asyncio.start_server(serve, "127.0.0.1", 0)  # type: ignore[arg-type]
    proxy = ToxicProxy(server.sockets[0].getsockname()[1], target)
    try:
        yield proxy
    finally:
        server.close()
        await proxy.close()
