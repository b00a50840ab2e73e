"""Stands in for the backend of a replica that has no place yet."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from stoker.core.ids import RequestId
from stoker.core.output import TokenDelta
from stoker.core.request import Request
from stoker.engine.interface import EngineInfo, EngineLoad, EngineState
from stoker.errors import Loading, NoCapacity


class UnplacedBackend:
    """Implements Backend: it is loading, and takes nothing."""

    state = EngineState.LOADING
    load = EngineLoad()
    num_restarts = 0

    @property
    def info(self) -> EngineInfo:
        raise Loading("the model is loading", retry_after=1.0)

    async def submit(self, request: Request) -> AsyncGenerator[TokenDelta, None]:
        nothing: tuple[TokenDelta, ...] = ()
        for delta in nothing:
            yield delta
        raise NoCapacity("this replica is not ready")

    def cancel(self, request_id: RequestId) -> None:
        return None

    async def drain(self, grace: float) -> None:
        return None

    async def close(self) -> None:
        return None
