"""One served model as the endpoints see it: an engine, its text layer, and the limits in force."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

from stoker.api.body import Record, decode
from stoker.api.exchange import Exchange
from stoker.api.generation import Generator
from stoker.config.schema import LimitsSection
from stoker.core.clock import Clock, SystemClock
from stoker.engine.interface import Backend, EngineState
from stoker.errors import Draining, ModelNotFound
from stoker.observe.metrics import Metrics
from stoker.text.load import TextModel

Result = TypeVar("Result")

INLINE_SIZE = 4096
"""What is larger is worked on by a thread, so that health checks and streams go on meanwhile."""


@dataclass(kw_only=True)
class Service:
    name: str
    """What clients call the model."""
    backend: Backend
    text: TextModel
    limits: LimitsSection
    metrics: Metrics
    created: int
    """Unix seconds, as the model list shows."""
    clock: Clock = field(default_factory=SystemClock)

    worker: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(1, thread_name_prefix="text")
    )
    draining: bool = False
    """Set first of all when shutting down, so that no new work is sent here."""

    @property
    def state(self) -> EngineState:
        return EngineState.DRAINING if self.draining else self.backend.state

    def check_accepting(self) -> None:
        """Raises Draining."""
        if self.draining:
            raise Draining("the server is shutting down")

    @property
    def generator(self) -> Generator:
        return Generator(self.backend, self.text.tokenizer, self.metrics, self.clock)

    def check_model(self, name: str) -> None:
        """Upper and lower case are the same. Raises ModelNotFound, which names the model served."""
        if name.casefold() != self.name.casefold():
            raise ModelNotFound(
                f"the model '{name[:128]}' is not served here; '{self.name}' is", param="model"
            )

    async def read(self, exchange: Exchange, record: type[Record]) -> Record:
        """The body as a record. Raises RequestError naming the field."""
        body = await exchange.read()
        depth = self.limits.json_depth
        return await self.off_loop(len(body), lambda: decode(body, record, depth))

    async def off_loop(self, size: int, work: Callable[[], Result]) -> Result:
        """Runs `work` here when its input is small, else on the one thread for such work: more
        would only compete with the loop for the interpreter.

        `size` counts everything that is walked. For a request that is its body, which no text,
        list or object in it can outgrow.
        """
        if size <= INLINE_SIZE:
            return work()
        return await asyncio.get_running_loop().run_in_executor(self.worker, work)
