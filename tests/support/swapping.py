"""Models that share memory, in simulated time: what a plan wants is done after as long as it takes,
and requests are served while their model is awake."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import dataclass, field

from stoker.fleet.resident import ModelDemand, ModelSize, Residence, Step
from stoker.fleet.swap import SwapPlan

STEP_SECONDS = 0.25
WAKE_SECONDS = 0.25
DONE = {
    Step.LOAD: Residence.AWAKE,
    Step.WAKE: Residence.AWAKE,
    Step.SLEEP: Residence.ASLEEP,
    Step.UNLOAD: Residence.ABSENT,
}


@dataclass
class Asked:
    model: str
    at: float
    seconds: float
    """Of service."""
    started: float | None = None
    ended: float | None = None
    waited: float | None = None
    """Until it was served first."""


@dataclass
class World:
    sizes: list[ModelSize]
    budget: int
    patience: float
    grace: float = 2.0
    """Running requests may go on so long when their model is to leave; then they wait for it."""
    now: float = 0.0
    requests: list[Asked] = field(default_factory=list)
    steps: Counter[Step] = field(default_factory=Counter)
    most_bytes: int = 0

    def __post_init__(self) -> None:
        self.plan = SwapPlan(self.sizes, self.budget, self.patience)
        self.size = {size.name: size for size in self.sizes}
        self.bytes = dict.fromkeys(self.size, 0)
        """What each really holds."""
        self._due: list[tuple[float, int, str, Step]] = []
        self._numbers = itertools.count()

    def ask(self, model: str, seconds: float = 0.5) -> Asked:
        self.requests.append(Asked(model, self.now, seconds))
        return self.requests[-1]

    def run(self, seconds: float) -> None:
        until = self.now + seconds
        while self.now < until:
            self._finish_steps()
            self._serve()
            for name, step in self.plan.decide(self._demands(), self.now):
                self._begin(name, step)
            self.most_bytes = max(self.most_bytes, sum(self.bytes.values()))
            assert self.plan.held_bytes <= self.budget
            assert sum(self.bytes.values()) <= self.plan.held_bytes
            self.now += STEP_SECONDS

    def _begin(self, name: str, step: Step) -> None:
        self.steps[step] += 1
        size = self.size[name]
        if step is Step.LOAD or step is Step.WAKE:
            self.bytes[name] = size.awake_bytes
        takes = {Step.LOAD: size.load_seconds, Step.WAKE: WAKE_SECONDS}.get(step, 0.0)
        if step in (Step.SLEEP, Step.UNLOAD) and self._running(name):
            left = max(one.started + one.seconds - self.now for one in self._running(name))
            takes = min(self.grace, left)
        self._due.append((self.now + takes, next(self._numbers), name, step))

    def _finish_steps(self) -> None:
        due = sorted(one for one in self._due if one[0] <= self.now)
        self._due = [one for one in self._due if one[0] > self.now]
        for _, _, name, step in due:
            if step in (Step.SLEEP, Step.UNLOAD):
                asleep = step is Step.SLEEP
                self.bytes[name] = self.size[name].weight_bytes if asleep else 0
                for one in self._running(name):  # goes on when its model is back
                    one.seconds -= self.now - one.started
                    one.started = None
            self.plan.became(name, DONE[step], self.now)

    def _serve(self) -> None:
        for one in self.requests:
            if one.started is None and self.plan.residence(one.model) is Residence.AWAKE:
                one.started = self.now
                one.waited = self.now - one.at if one.waited is None else one.waited
            if one.ended is None and one.started is not None:
                over = self.now >= one.started + one.seconds
                one.ended = self.now if over else None

    def _running(self, name: str) -> list[Asked]:
        return [
            one
            for one in self.requests
            if one.model == name and one.started is not None and one.ended is None
        ]

    def _demands(self) -> dict[str, ModelDemand]:
        waiting = Counter(one.model for one in self.requests if one.started is None)
        return {name: ModelDemand(waiting[name], len(self._running(name))) for name in self.size}
