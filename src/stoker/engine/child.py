"""Starts one engine process and holds the connection to it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from stoker.engine import frames
from stoker.engine.peer import check_same_user
from stoker.errors import ProtocolError, ReplicaLost, SetupError

CONNECT_SECONDS = 30.0
READ_BYTES = 256 * 1024
EXIT_SECONDS = 2.0


class EngineChild:
    """A running engine process. `frames()` ends when the process does."""

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._process = process
        self._reader = reader
        self._writer = writer

    @classmethod
    async def start(cls) -> EngineChild:
        """Spawns the process and checks who answers. The socket lives in a folder only this user
        can enter, and both are gone once the connection stands.

        Raises SetupError's kinds or ReplicaLost. The process has a session of its own: what a
        terminal does to the front (Ctrl-C, Ctrl-Z) reaches the engine through the front only.
        """
        try:
            return await cls._start()
        except OSError as error:
            raise SetupError(
                f"an engine process cannot be started: {error.strerror or error}",
                hint="Check the temporary folder, free memory and the limit on processes.",
            ) from None

    @classmethod
    async def _start(cls) -> EngineChild:
        connected: asyncio.Future[tuple[asyncio.StreamReader, asyncio.StreamWriter]]
        connected = asyncio.get_running_loop().create_future()

        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            if connected.done():
                writer.close()
            else:
                connected.set_result((reader, writer))

        with tempfile.TemporaryDirectory(prefix=f"stoker-{os.getpid()}-") as folder:  # mode 0700
            path = str(Path(folder) / "engine.sock")
            server = await asyncio.start_unix_server(accept, path)
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "stoker.engine.process",
                path,
                stdin=asyncio.subprocess.DEVNULL,
                start_new_session=True,
            )
            try:
                reader, writer = await _first(connected, process)
                check_same_user(writer.get_extra_info("socket"))
            except BaseException:
                await _end(process)
                raise
            finally:
                server.close()
        return cls(process, reader, writer)

    @property
    def pid(self) -> int:
        return self._process.pid

    def send(self, frame: frames.Frame) -> None:
        """Queues a frame. A dead engine is noticed by `frames`, not here."""
        if not self._writer.is_closing():
            self._writer.write(frames.encode(frame))

    async def frames(self) -> AsyncIterator[frames.AnyFrame]:
        """Frames in order, Hello checked and left out. Raises ProtocolError for anything else."""
        decoder = frames.FrameReader()
        greeted = False
        while data := await self._read():
            for frame in decoder.feed(data):
                if greeted:
                    yield frame
                else:
                    frames.check_hello(frame)
                    greeted = True

    async def _read(self) -> bytes:
        try:
            return await self._reader.read(READ_BYTES)
        except ConnectionError:
            return b""

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()

    async def close(self) -> int:
        """Asks the process to end, ends it if it does not, and returns its exit code."""
        self.send(frames.Shutdown())
        try:
            await asyncio.wait_for(self._process.wait(), EXIT_SECONDS)
        except TimeoutError:
            self.kill()
        code = await _end(self._process)
        self._writer.close()
        with contextlib.suppress(ConnectionError):
            await self._writer.wait_closed()
        return code


async def _first(
    connected: asyncio.Future[tuple[asyncio.StreamReader, asyncio.StreamWriter]],
    process: asyncio.subprocess.Process,
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """The connection, or an error if the process ends or dawdles before it connects."""
    exited = asyncio.create_task(process.wait())
    try:
        waited: set[asyncio.Future[Any]] = {connected, exited}
        await asyncio.wait(waited, timeout=CONNECT_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        if connected.done():
            return connected.result()
        if exited.done():
            raise ReplicaLost(f"the engine ended with code {exited.result()} before it connected")
        raise ProtocolError("the engine did not connect in time")
    finally:
        exited.cancel()
        connected.cancel()
        await asyncio.gather(exited, return_exceptions=True)


async def _end(process: asyncio.subprocess.Process) -> int:
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
    return await process.wait()
