"""The front's way to Ray: a child process that speaks with it, started again when it is lost."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import logging
import os
import sys
from collections.abc import Callable

import msgspec

from stoker.config import environment
from stoker.errors import SetupError
from stoker.fleet.ray_messages import (
    NO_CLUSTER,
    Connected,
    Ended,
    News,
    Order,
    Place,
    Refused,
    Stop,
    line,
)

log = logging.getLogger(__name__)

CONNECT_SECONDS = 30.0
RECONNECT_SECONDS = 5.0
ENDING_SECONDS = 20.0
"""For replicas to end when the front does. After that Ray ends them."""
QUIET = {"RAY_USAGE_STATS_ENABLED": "0"}
"""Nobody is told that Ray is used."""
LOST = "the connection to Ray was lost"

_decode = msgspec.json.Decoder(News).decode


def check_installed() -> None:
    """Raises SetupError."""
    if importlib.util.find_spec("ray") is None:
        raise SetupError(
            "placer ray needs the package ray",
            hint="Install stoker with the extra 'ray': pip install 'stoker[ray]'.",
        )


class RayCluster:
    """`heard` gets Waiting, Serving and Ended of what was placed. Replicas are lost with the
    connection; what is placed while there is none is started once there is."""

    def __init__(self, address: str, heard: Callable[[News], None]) -> None:
        self._address = address
        self._heard = heard
        self._placed: dict[str, Place] = {}
        self._process: asyncio.subprocess.Process | None = None
        self._keeping: asyncio.Task[None] | None = None

    async def connect(self) -> None:
        """Raises SetupError when there is no such cluster."""
        await self._begin()
        self._keeping = asyncio.create_task(self._keep(), name="news of Ray")

    def place(self, order: Place) -> None:
        self._placed[order.replica_id] = order
        self._send(order)

    def stop(self, replica_id: str, seconds: float) -> None:
        """It may take so long to end by itself. It is no more once Ended is heard, which may be
        before this returns."""
        if self._process is None or replica_id not in self._placed:
            self._hear(Ended(replica_id=replica_id, reason="it had no place"))
        else:
            self._send(Stop(replica_id=replica_id, seconds=seconds))

    async def close(self) -> None:
        """Ends everything that was placed. Nothing more is heard."""
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.gather(self._keeping, return_exceptions=True)
        if self._process is not None:
            await _end(self._process)
            self._process = None

    # --- the process ------------------------------------------------------------------------

    async def _begin(self) -> None:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "stoker.fleet.leash", str(os.getpid())),
            *(sys.executable, "-m", "stoker.fleet.ray_driver", self._address),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env={**environment.current(), **QUIET},
            start_new_session=True,  # a Ctrl-C in the terminal is for the front
        )
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                _check(await _next(process))
        except TimeoutError:
            process.kill()
            await process.wait()
            reason = f"no Ray cluster answers at '{self._address}'"
            raise SetupError(reason, hint=NO_CLUSTER) from None
        except BaseException:
            await _end(process)
            raise
        self._process = process
        for order in self._placed.values():
            self._send(order)

    async def _keep(self) -> None:
        while True:
            if self._process is not None:
                await self._listen(self._process)
            await asyncio.sleep(RECONNECT_SECONDS)
            try:
                await self._begin()
            except SetupError as error:
                log.warning("%s", error)

    async def _listen(self, process: asyncio.subprocess.Process) -> None:
        """Until it is gone, and with it all replicas."""
        while (news := await _next(process)) is not None:
            self._hear(news)
        self._process = None
        await _end(process)
        log.warning("%s: replicas there are started anew", LOST)
        for replica_id in list(self._placed):
            self._hear(Ended(replica_id=replica_id, reason=LOST))

    def _hear(self, news: News) -> None:
        if isinstance(news, Ended):
            self._placed.pop(news.replica_id, None)
        self._heard(news)

    def _send(self, order: Order) -> None:
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.write(line(order))


async def _next(process: asyncio.subprocess.Process) -> News | None:
    """None: it has ended."""
    if process.stdout is None:
        return None
    text = await process.stdout.readline()
    return _decode(text) if text.endswith(b"\n") else None


def _check(first: News | None) -> None:
    """Raises SetupError unless it is connected."""
    if isinstance(first, Refused):
        raise SetupError(first.message, hint=first.hint)
    if not isinstance(first, Connected):
        raise SetupError(
            "the process that speaks with Ray has ended",
            hint="What it wrote to standard error says why.",
        )


async def _end(process: asyncio.subprocess.Process) -> None:
    """It ends by itself when nobody gives it orders any more."""
    if process.stdin is not None:
        process.stdin.close()
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(process.wait(), ENDING_SECONDS)
    if process.returncode is None:
        process.kill()
        await process.wait()
