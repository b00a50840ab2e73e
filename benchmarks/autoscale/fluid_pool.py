"""Replicas as a fluid, second by second: work comes in, is worked off by those that are ready, and
what came to a backlog of more than two seconds a replica waited too long.

There is no batching and no cache in it: it compares scaling policies with each other, and says
nothing of a real engine.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from benchmarks.autoscale.traces import Trace

MISS_SECONDS = 2.0
WAKE_SECONDS = 2.0


class Wish(NamedTuple):
    awake: int
    """Starting ones included."""
    standbys: int = 0
    """At most so many of those that are not awake any more sleep; the others are gone."""


class Policy(Protocol):
    def decide(self, second: int, pool: FluidPool) -> Wish | None:
        """None: as it is."""
        ...


@dataclass
class FluidPool:
    ready: int
    cold_seconds: float
    sleeping: int = 0
    waiting: float = 0.0
    """Work, in replica-seconds."""
    arrived: float = 0.0
    """In the last second; so with the next."""
    served: float = 0.0
    starting: list[float] = field(default_factory=list)
    """When each will be ready."""

    @property
    def present(self) -> int:
        return self.ready + len(self.starting)

    @property
    def ongoing(self) -> float:
        """What policies that count requests in progress would see, for 70 % of a replica in use
        or a backlog of MISS_SECONDS each to be right."""
        return self.served / 0.7 + self.waiting / MISS_SECONDS

    def run_second(self, second: int, work: float) -> float:
        """Returns how long what came in it waits."""
        self.ready += sum(at <= second for at in self.starting)
        self.starting = [at for at in self.starting if at > second]
        self.arrived = work
        self.served = min(self.waiting + work, float(self.ready))
        self.waiting += work - self.served
        return self.waiting / self.ready if self.ready else float("inf")

    def apply(self, second: int, wish: Wish) -> None:
        for _ in range(wish.awake - self.present):
            asleep = self.sleeping > 0
            self.sleeping -= asleep
            self.starting.append(second + 1 + (WAKE_SECONDS if asleep else self.cold_seconds))
        for _ in range(self.present - wish.awake):
            if self.starting:
                self.starting.pop()
            else:
                self.ready -= 1
                self.sleeping += self.sleeping < wish.standbys


class Outcome(NamedTuple):
    missed_percent: float
    """Of requests."""
    mean_replicas: float
    """Awake or starting."""
    mean_sleeping: float
    turns: int
    """From growing to shrinking or back."""


def replay(trace: Trace, policy: Policy, start: int, cold_seconds: float) -> Outcome:
    """`start` replicas are ready when the trace begins."""
    pool = FluidPool(start, cold_seconds)
    missed = present = sleeping = 0
    counts = []
    for second, (requests, work) in enumerate(trace):
        if pool.run_second(second, work) > MISS_SECONDS:
            missed += requests
        present += pool.present
        sleeping += pool.sleeping
        counts.append(pool.present)
        if wish := policy.decide(second, pool):
            pool.apply(second, wish)
    total = sum(requests for requests, _ in trace)
    seconds = len(trace)
    return Outcome(100 * missed / total, present / seconds, sleeping / seconds, turns(counts))


def turns(counts: list[int]) -> int:
    moves = [after > before for before, after in itertools.pairwise(counts) if after != before]
    return sum(before != after for before, after in itertools.pairwise(moves))
