"""Three health routes, because they ask three things: restart me? send me work? am I moving?"""

from __future__ import annotations

import msgspec

from stoker.api.exchange import Exchange
from stoker.api.front import Front
from stoker.api.service import Service
from stoker.engine.interface import EngineState


class Health(msgspec.Struct, frozen=True):
    status: str


class ModelProgress(msgspec.Struct, frozen=True):
    status: str
    steps: int
    seconds_without_step: float
    """0 while there is no work."""
    running: int
    waiting: int
    restarts: int


class ProgressReport(msgspec.Struct, frozen=True):
    status: str
    """'stuck' when any model is."""
    models: dict[str, ModelProgress]


class Live:
    """Fails only when nothing but a restart of this process helps."""

    def __init__(self, front: Front) -> None:
        self._front = front

    async def __call__(self, exchange: Exchange) -> None:
        lost = self._front.lost
        status = "stopped" if lost else "live"
        await exchange.respond_json(Health(status), status=503 if lost else 200)


class Ready:
    """Whether to send work here: 200 when some model can answer."""

    def __init__(self, front: Front) -> None:
        self._front = front

    async def __call__(self, exchange: Exchange) -> None:
        state = self._front.state
        ready = state in (EngineState.READY, EngineState.SLEEPING)
        await exchange.respond_json(Health(state.value), status=200 if ready else 503)


class Progressing:
    """503 when a model has work and no step was completed for too long."""

    def __init__(self, front: Front) -> None:
        self._front = front

    async def __call__(self, exchange: Exchange) -> None:
        services = self._front.services.values()
        models = {service.name: _progress(service) for service in services}
        stuck = any(service.stuck for service in services)
        status = "stuck" if stuck else self._front.state.value
        report = ProgressReport(status, models)
        await exchange.respond_json(report, status=503 if stuck else 200)


def _progress(service: Service) -> ModelProgress:
    age = service.observe()
    load = service.backend.load
    return ModelProgress(
        "stuck" if service.stuck else service.backend.state.value,
        load.num_steps,
        round(age, 3),
        load.num_running,
        load.num_waiting,
        service.backend.num_restarts,
    )
