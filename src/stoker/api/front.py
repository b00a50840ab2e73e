"""All that is served, and what every endpoint shares."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from stoker.api.batch.desk import BatchDesk
from stoker.api.off_loop import OffLoop
from stoker.api.service import Service
from stoker.config.schema import LimitsSection
from stoker.engine.interface import EngineState
from stoker.errors import Draining
from stoker.gateway.admission import Admission
from stoker.gateway.identity import Keyring
from stoker.gateway.routes import RouteTable
from stoker.gateway.upstream.forwarder import Forwarder
from stoker.observe.metrics import Metrics


@dataclass(kw_only=True)
class Front:
    services: Mapping[str, Service]
    """Models of ours, by their name in the route table."""
    routes: RouteTable
    """A reload puts another one here; so with the next two."""
    keyring: Keyring
    limits: LimitsSection
    metrics: Metrics
    off_loop: OffLoop
    admission: Admission
    forwarder: Forwarder = field(default_factory=Forwarder)
    """To servers that are not ours."""
    adapter_folder: str = ""
    """Adapters below it may be loaded at run time, for the models in `adaptable`."""
    adaptable: frozenset[str] = frozenset()
    batches: BatchDesk | None = None
    """Files and batches; None where they are not offered."""
    created: int
    """Unix seconds."""
    draining: bool = field(default=False, init=False)
    """Set first of all when shutting down, so that no new work is sent here."""

    @property
    def state(self) -> EngineState:
        """That of the model that is nearest to being able to answer."""
        if self.draining:
            return EngineState.DRAINING
        states = {service.backend.state for service in self.services.values()}
        return next((state for state in _NEAREST if state in states), EngineState.READY)

    @property
    def lost(self) -> bool:
        """Whether no model of ours can ever answer again."""
        states = [service.backend.state for service in self.services.values()]
        return bool(states) and all(state is EngineState.STOPPED for state in states)

    async def close(self) -> None:
        """Ends every engine, and writes what was used. Safe to call twice."""
        self.off_loop.close()
        await self.forwarder.close()
        services = self.services.values()
        await asyncio.gather(*(service.trial.close() for service in services))
        await asyncio.gather(*(service.backend.close() for service in services))
        await asyncio.gather(*(service.answering.close() for service in services))
        await self.admission.ledger.close()
        if self.batches is not None:
            await self.batches.close()

    def check_accepting(self) -> None:
        """Raises Draining."""
        if self.draining:
            raise Draining("the server is shutting down")


_NEAREST = (
    EngineState.READY,
    EngineState.SLEEPING,
    EngineState.STUCK,
    EngineState.RESTARTING,
    EngineState.LOADING,
    EngineState.DRAINING,
    EngineState.STOPPED,
)
