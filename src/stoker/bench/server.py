"""A server of our own for a load test: started, waited for, and always stopped again."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import socket
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence

import aiohttp

from stoker.errors import SetupError

READY_SECONDS = 600.0
STOP_SECONDS = 15.0
POLL_SECONDS = 0.05

# In an order of the process's own, so that two processes seldom try the same.
_PORTS = iter(random.Random(os.getpid()).sample(range(10_000, 32_768), 22_768))  # noqa: S311


@contextlib.asynccontextmanager
async def own_server(arguments: Sequence[str]) -> AsyncIterator[str]:
    """Runs `stoker serve` with these arguments on a free port and yields its URL when ready."""
    port = free_port()
    command = [
        sys.executable, "-m", "stoker", "serve", *arguments,
        "--host", "127.0.0.1", "--port", str(port), "--log-level", "warning",
    ]  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    async with running(command, f"{url}/health/ready"):
        yield url


@contextlib.asynccontextmanager
async def running(
    command: Sequence[str], ready: str, environment: Mapping[str, str] | None = None
) -> AsyncIterator[int]:
    """Runs a server and yields its process id once GET `ready` answers 200. Without `environment`
    it has ours."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        env=environment,
    )
    try:
        await _wait_until_ready(ready, process)
        yield process.pid
    finally:
        await _stop(process)


async def _wait_until_ready(url: str, process: asyncio.subprocess.Process) -> None:
    deadline = time.monotonic() + READY_SECONDS
    async with aiohttp.ClientSession() as session:
        while time.monotonic() < deadline:
            if process.returncode is not None:
                raise SetupError("the server ended before it was ready")
            with contextlib.suppress(aiohttp.ClientError):
                async with session.get(url) as response:
                    if response.status == 200:
                        return
            await asyncio.sleep(POLL_SECONDS)
    raise SetupError(f"the server was not ready within {READY_SECONDS:.0f} s")


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.terminate()
    try:
        await asyncio.wait_for(process.wait(), STOP_SECONDS)
    except TimeoutError:
        process.kill()
        await process.wait()


async def model_name(url: str, api_key: str | None = None) -> str:
    """The first model the server lists. Raises SetupError when it cannot be asked."""
    headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
    try:
        async with (
            aiohttp.ClientSession(headers=headers, timeout=aiohttp.ClientTimeout(10)) as session,
            session.get(f"{url.rstrip('/')}/v1/models") as response,
        ):
            response.raise_for_status()
            listing = await response.json()
            return str(listing["data"][0]["id"])
    except (aiohttp.ClientError, TimeoutError, KeyError, IndexError, ValueError) as error:
        reason = str(error) or type(error).__name__
        raise SetupError(f"{url} does not list its models: {reason}") from None


def free_port() -> int:
    """One that nothing listens on, for a server that cannot choose for itself. It lies below those
    that the system gives to connections (32768 and up): any of these can be taken again before
    the server listens. Each call gives another."""
    for port in _PORTS:
        with socket.socket() as found:
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                found.bind(("", port))
                return port
    raise SetupError("no port from 10000 to 32767 is free")
