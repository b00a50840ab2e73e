"""Asks backends' health paths now and then, apart from requests: neither counts for the other."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from stoker.core.clock import Clock
from stoker.gateway.upstream.backend import ForeignBackend
from stoker.gateway.upstream.transport import Call

INTERVAL_SECONDS = 5.0
FAILURES = 2
"""In a row, before others are asked first."""


class HealthProbes:
    def __init__(self, clock: Clock, interval: float = INTERVAL_SECONDS) -> None:
        self._clock = clock
        self._interval = interval
        self._tasks: dict[str, tuple[ForeignBackend, asyncio.Task[None]]] = {}

    def watch(self, backends: Iterable[ForeignBackend]) -> None:
        """From now on these, as far as they have a health path, and no others."""
        wanted = {backend.name: backend for backend in backends if backend.entry.health_path}
        for name, (backend, task) in list(self._tasks.items()):
            if wanted.get(name) is not backend:
                task.cancel()
                del self._tasks[name]
        for name, backend in wanted.items():
            if name not in self._tasks:
                task = asyncio.create_task(self._probe(backend), name=f"health of {name}")
                self._tasks[name] = (backend, task)

    async def close(self) -> None:
        tasks = [task for _, task in self._tasks.values()]
        self._tasks.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _probe(self, backend: ForeignBackend) -> None:
        failures = 0
        while True:
            failures = 0 if await healthy(backend) else failures + 1
            if failures in (0, FAILURES):
                backend.standing.probed(self._clock.monotonic(), healthy=not failures)
            await asyncio.sleep(self._interval)


async def healthy(backend: ForeignBackend) -> bool:
    """Whether the health path answers 2xx. The key goes along: some want it there too."""
    call = Call(
        method="GET",
        path=backend.entry.health_path,
        headers=backend.dialect.headers(backend.entry.api_key),
    )
    try:
        async with backend.transport.send(call) as reply:
            return 200 <= reply.status < 300
    except (ConnectionError, TimeoutError):
        return False
