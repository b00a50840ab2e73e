"""One model of ours as the endpoints see it: a backend, its text layer, and the limits in force."""

from __future__ import annotations

from dataclasses import dataclass, field

from stoker.api.answering import Answering
from stoker.api.generation import Generator
from stoker.api.off_loop import OffLoop
from stoker.api.progress import Progress
from stoker.config.schema import LimitsSection
from stoker.constrain.trial import Trial
from stoker.core.clock import Clock, SystemClock
from stoker.engine.adapter_shelf import AdapterShelf
from stoker.engine.interface import Backend, EngineState
from stoker.gateway.admission import Admission
from stoker.gateway.line import ModelLine
from stoker.gateway.usage import Price
from stoker.observe.metrics import ModelMetrics
from stoker.text.load import TextModel


@dataclass(kw_only=True)
class Service:
    name: str
    """What clients call the model."""
    backend: Backend
    text: TextModel
    limits: LimitsSection
    metrics: ModelMetrics
    off_loop: OffLoop
    admission: Admission
    line: ModelLine
    answering: Answering
    adapters: AdapterShelf = field(default_factory=AdapterShelf)
    created: int
    """Unix seconds, as the model list shows."""
    price: Price = field(default_factory=Price)
    clock: Clock = field(default_factory=SystemClock)
    progress: Progress = field(init=False)
    trial: Trial = field(init=False)

    def __post_init__(self) -> None:
        self.trial = Trial(self.text.tokenizer.vocabulary.table)
        self.progress = Progress(self.clock.monotonic())
        self.metrics.watch(lambda: self.backend.load, lambda: self.backend.num_restarts)

    @property
    def generator(self) -> Generator:
        return Generator(self.backend, self.text.tokenizer, self.metrics, self.clock)

    @property
    def stuck(self) -> bool:
        return self.progress.stuck or self.backend.state is EngineState.STUCK

    def observe(self) -> float:
        """Follows the engine's progress; returns the seconds without a step while there is work."""
        return self.progress.observe(self.backend.load, self.clock.monotonic())
