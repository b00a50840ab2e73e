"""The process that tries constraints out, as the front holds it."""

from __future__ import annotations

import asyncio
import contextlib
import sys

from stoker.constrain.trial_process import LENGTH


class TrialChild:
    def __init__(
        self,
        process: asyncio.subprocess.Process,
        stdin: asyncio.StreamWriter,
        stdout: asyncio.StreamReader,
    ) -> None:
        self._process = process
        self._stdin = stdin
        self._stdout = stdout

    @classmethod
    async def start(cls, first: bytes) -> TrialChild:
        """`first` is what it reads before it is asked anything."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "stoker.constrain.trial_process",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,  # a panic would show what a client sent
            start_new_session=True,
        )
        if process.stdin is None or process.stdout is None:
            raise RuntimeError("pipes were asked for")
        child = cls(process, process.stdin, process.stdout)
        child._send(first)
        return child

    @property
    def process_id(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.returncode is None

    async def ask(self, message: bytes) -> str:
        """Raises IncompleteReadError or ConnectionError when it ends meanwhile."""
        self._send(message)
        (length,) = LENGTH.unpack(await self._stdout.readexactly(LENGTH.size))
        return (await self._stdout.readexactly(length)).decode()

    def _send(self, message: bytes) -> None:
        self._stdin.write(LENGTH.pack(len(message)) + message)

    def retire(self) -> None:
        """It ends as its input does."""
        self._stdin.close()

    async def end(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._process.communicate()
