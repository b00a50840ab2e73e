"""Modules of this package that run as programs of their own, talked to through their pipes."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator

from stoker.errors import SetupError


@contextlib.asynccontextmanager
async def child(
    module: str, *arguments: str
) -> AsyncIterator[tuple[asyncio.subprocess.Process, asyncio.StreamWriter, asyncio.StreamReader]]:
    """Ended at the end if it still runs."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", f"stoker.bench.gateway.{module}", *arguments,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    if process.stdin is None or process.stdout is None:
        raise SetupError("a program was started without its pipes")
    try:
        yield process, process.stdin, process.stdout
    except BaseException:
        if process.returncode is None:
            process.kill()
        raise
    finally:
        await process.wait()


@contextlib.asynccontextmanager
async def serving(module: str, *arguments: str) -> AsyncIterator[int]:
    """One that prints its port and serves until its input is closed."""
    async with child(module, *arguments) as (_, commands, output):
        yield int(await output.readline())
        commands.close()
