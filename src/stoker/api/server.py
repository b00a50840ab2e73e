"""Runs the application on uvicorn, from the first connection to an orderly end.

The first SIGTERM or SIGINT begins a drain: readiness goes first, new requests get 503, running
ones may finish within the grace period, the rest end with an error event. A second one ends the
process at once. Either way the engine is closed before `serve` returns.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from functools import partial
from types import FrameType
from typing import Any

import uvicorn

from stoker.api.app import Application
from stoker.api.connections import Connections, backlog, most_connections
from stoker.api.protocol import LimitedProtocol
from stoker.config.exposure import check_exposure
from stoker.config.schema import ServerSection
from stoker.engine.interface import EngineState
from stoker.errors import SetupError

log = logging.getLogger(__name__)

LAST_WORDS_SECONDS = 1.0
"""After the grace period, for error events to be written and the engine to end."""
WATCH_SECONDS = 0.5
FIRST_WATCH_SECONDS = 0.02


class Server(uvicorn.Server):
    """One run. `announce` is called once, with the URL, when the model answers."""

    def __init__(
        self, application: Application, server: ServerSection, announce: Callable[[str], None]
    ) -> None:
        """Raises ConfigError when other machines could reach the server without a key, and when
        fewer files may be open than connections."""
        if application.front.keyring.open and not server.replica:
            check_exposure(server)
        limits = application.front.limits
        protocol: Any = partial(LimitedProtocol, limits, Connections(most_connections(limits)))
        super().__init__(
            uvicorn.Config(
                application,
                host=server.host,
                port=server.port,
                backlog=backlog(limits),
                http=protocol,
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_keep_alive=int(limits.idle_seconds),
                timeout_graceful_shutdown=1,
            )
        )
        self._application = application
        self._section = server
        self._announce = announce
        self._loop: asyncio.AbstractEventLoop | None = None
        self._drain: asyncio.Task[None] | None = None
        self._failed = False

    async def run_until_stopped(self) -> int:
        """Serves until told to stop, and returns the exit code: 0 after a drain, else 1.

        Raises SetupError when the address cannot be listened on.
        """
        self._loop = asyncio.get_running_loop()
        watch = asyncio.create_task(self._watch(), name="server watch")
        try:
            await self.serve()
        except SystemExit:
            raise SetupError(
                f"cannot listen on {self._section.host}:{self._section.port}",
                hint="Is another server running there? Choose another with --port.",
            ) from None
        finally:
            await self._close(watch)
        return 1 if self._failed or self.force_exit else 0

    def stop(self) -> None:
        """Begins the drain; called again, ends at once. Safe from other threads and signals."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._stop)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self.stop()

    @property
    def stopping(self) -> bool:
        return self._drain is not None

    @property
    def url(self) -> str:
        """With the real port. Only after start-up."""
        port = self.servers[0].sockets[0].getsockname()[1]
        host = self._section.host
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    # --- the end ----------------------------------------------------------------------------

    def _stop(self) -> None:
        if self._drain is None:
            self._application.front.draining = True
            self._drain = asyncio.create_task(self._drain_and_exit(), name="drain")
            return
        self.force_exit = True
        self.should_exit = True
        self._drain.cancel()

    async def _drain_and_exit(self) -> None:
        grace = self._section.drain_seconds
        log.info("draining for up to %g seconds", grace)
        services = self._application.front.services.values()
        for service in services:
            service.line.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace + LAST_WORDS_SECONDS):
                await asyncio.gather(*(service.backend.drain(grace) for service in services))
                await self._application.idle.wait()
        self.should_exit = True

    async def _close(self, watch: asyncio.Task[None]) -> None:
        tasks = [task for task in (watch, self._drain) if task is not None]
        requests = list(self.server_state.tasks)
        for task in [*tasks, *requests]:
            task.cancel()
        await asyncio.gather(*tasks, *requests, return_exceptions=True)
        await self._application.front.close()

    # --- while running ----------------------------------------------------------------------

    async def _watch(self) -> None:
        """Announces readiness once, follows progress, and ends when every engine has given up."""
        front = self._application.front
        announced = False
        while True:
            for service in front.services.values():
                service.observe()
            if not announced and self.started and front.state is EngineState.READY:
                self._announce(self.url)
                announced = True
            if front.lost and self._drain is None:
                self._failed = True
                if not announced:  # loading failed, which whoever loads reports
                    self.should_exit = True
                    return
                log.error("the engine is gone; ending")
                self._stop()
            await asyncio.sleep(WATCH_SECONDS if announced else FIRST_WATCH_SECONDS)
