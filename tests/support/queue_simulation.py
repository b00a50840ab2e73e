"""Clients, the production waiting room, and fake replicas, on a clock that jumps from event to
event."""

from __future__ import annotations

import heapq
import itertools
import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from stoker.config.fleet_schema import QueueSection
from stoker.errors import Overloaded
from stoker.gateway.capacity import Capacity
from stoker.gateway.entry import Entry
from stoker.gateway.tenant import Band
from stoker.gateway.usage import Usage
from stoker.gateway.waiting_room import WaitingRoom

Action = Callable[[], None]


class Events:
    def __init__(self) -> None:
        self.now = 0.0
        self._heap: list[tuple[float, int, Action]] = []
        self._order = itertools.count()

    def after(self, seconds: float, action: Action) -> None:
        heapq.heappush(self._heap, (self.now + seconds, next(self._order), action))

    def run(self, until: float) -> None:
        while self._heap and self._heap[0][0] <= until:
            self.now, _, action = heapq.heappop(self._heap)
            action()
        self.now = until


@dataclass
class Job:
    """One attempt of a client."""

    tenant: str
    prompt: int
    output: int
    """What it comes to; nobody knows before."""
    patience: float = math.inf
    """Seconds until the whole answer is no good any more."""
    band: Band = Band.STANDARD
    weight: float = 1.0
    ended: Callable[[Job], None] = lambda job: None
    arrival: float = 0.0
    outcome: str = ""
    retry_after: float = 0.0
    first_token: float = math.nan
    end: float = math.nan

    @property
    def in_time(self) -> bool:
        return self.outcome == "done" and self.end <= self.arrival + self.patience

    @property
    def first_token_seconds(self) -> float:
        return self.first_token - self.arrival


@dataclass
class FakeReplicas:
    """Each turn takes its prompt over `prefill`, and then a step for each new token; a step takes
    longer the more its replica has in flight."""

    turns: int
    """Of each."""
    count: int = 1
    prefill: float = 4000.0
    step: float = 0.01
    step_per_turn: float = 0.0002
    expected_output: int = 256

    def step_seconds(self, in_flight: int) -> float:
        """With so many in flight at all of them."""
        return self.step + self.step_per_turn * in_flight / self.count

    def work_rate(self, prompt: float, output: float) -> float:
        """Requests of this size a second, when full."""
        turns = self.turns * self.count
        return turns / (prompt / self.prefill + output * self.step_seconds(turns))


@dataclass
class Simulation:
    replicas: FakeReplicas
    section: QueueSection = field(default_factory=QueueSection)
    seed: int = 1

    def __post_init__(self) -> None:
        self.events = Events()
        self.random = random.Random(self.seed)
        self.jobs: list[Job] = []
        self._waiting: dict[str, Job] = {}
        self._in_flight = 0
        self.room = WaitingRoom(
            self.section,
            lambda: Capacity(self.replicas.turns * self.replicas.count),
            self.random.random,
        )

    @property
    def now(self) -> float:
        return self.events.now

    def submit(self, job: Job) -> None:
        job.arrival = self.now
        self.jobs.append(job)
        entry = self._entry(job)
        try:
            self.room.join(entry, self.now)
        except Overloaded as error:
            assert error.retry_after is not None
            job.retry_after = max(1.0, math.ceil(error.retry_after))  # as the header has it
            self._over(job, "refused")
            return
        self._waiting[entry.request_id] = job
        if job.patience < math.inf:
            self.events.after(job.patience, self._advance)
        self._advance()

    def poisson(self, rate: Callable[[float], float], job: Callable[[], Job]) -> None:
        """Submits jobs for ever, `rate` of the time a second."""

        def arrive() -> None:
            self.submit(job())
            self.events.after(self.random.expovariate(rate(self.now)), arrive)

        self.events.after(self.random.expovariate(rate(0.0)), arrive)

    def _entry(self, job: Job) -> Entry:
        expected = Usage(input_tokens=job.prompt, output_tokens=self.replicas.expected_output)
        return Entry(
            request_id=str(len(self.jobs)),
            tenant=job.tenant,
            weight=job.weight,
            band=job.band,
            expected=expected,
            arrival=self.now,
            deadline=self.now + job.patience,
        )

    def _advance(self) -> None:
        while True:
            for entry in self.room.late(self.now):
                self._over(self._waiting.pop(entry.request_id), "late")
            started = self.room.next(self.now)
            if started is None:
                return
            self._start(started.request_id, self._waiting.pop(started.request_id))

    def _start(self, request_id: str, job: Job) -> None:
        self._in_flight += 1
        prefill = job.prompt / self.replicas.prefill
        decode = job.output * self.replicas.step_seconds(self._in_flight)

        def first() -> None:
            job.first_token = self.now
            self.room.used(request_id, Usage(input_tokens=job.prompt, output_tokens=1), self.now)
            self.events.after(decode, last)

        def last() -> None:
            self._in_flight -= 1
            job.end = self.now
            usage = Usage(input_tokens=job.prompt, output_tokens=job.output)
            self.room.ended(request_id, usage, self.now)
            self._advance()
            self._over(job, "done")

        self.events.after(prefill, first)

    def _over(self, job: Job, outcome: str) -> None:
        job.outcome = outcome
        job.ended(job)
