"""Three health routes, because they ask three things: restart me? send me work? am I moving?"""

from __future__ import annotations

import msgspec

from stoker.api.exchange import Exchange
from stoker.api.progress import Progress
from stoker.api.service import Service
from stoker.engine.interface import EngineState


class Health(msgspec.Struct, frozen=True):
    status: str


class ProgressReport(msgspec.Struct, frozen=True):
    status: str
    steps: int
    seconds_without_step: float
    """0 while there is no work."""
    running: int
    waiting: int
    restarts: int


class Live:
    """Fails only when nothing but a restart of this process helps."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def __call__(self, exchange: Exchange) -> None:
        lost = self._service.backend.state is EngineState.STOPPED
        status = "stopped" if lost else "live"
        await exchange.respond_json(Health(status), status=503 if lost else 200)


class Ready:
    """Whether to send work here."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def __call__(self, exchange: Exchange) -> None:
        state = self._service.state
        ready = state is EngineState.READY
        await exchange.respond_json(Health(state.value), status=200 if ready else 503)


class Progressing:
    """503 when there is work and no step was completed for too long."""

    def __init__(self, service: Service, progress: Progress) -> None:
        self._service = service
        self._progress = progress

    async def __call__(self, exchange: Exchange) -> None:
        backend, load = self._service.backend, self._service.backend.load
        age = self._progress.observe(load, self._service.clock.monotonic())
        stuck = self._progress.stuck or self._service.state is EngineState.STUCK
        report = ProgressReport(
            "stuck" if stuck else self._service.state.value,
            load.num_steps,
            round(age, 3),
            load.num_running,
            load.num_waiting,
            backend.num_restarts,
        )
        await exchange.respond_json(report, status=503 if stuck else 200)
