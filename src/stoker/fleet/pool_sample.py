"""What the autoscaler is told of a pool, and what it answers. Work is counted in replica-seconds:
what keeps one replica busy for a second is 1, whatever the requests are like."""

from __future__ import annotations

import math

import msgspec


class PoolSample(msgspec.Struct, frozen=True, kw_only=True):
    """A pool at one moment. A number that could not be measured is NaN."""

    time: float
    """On a clock that only grows."""
    arrived_work: float
    """Of the requests that came since the sample before, to be done or refused."""
    waiting_work: float = 0.0
    """Of requests that no replica has begun."""
    in_flight: int = 0
    """Requests at replicas."""
    ready: int = 0
    starting: int = 0
    sleeping: int = 0
    cold_seconds: float = 30.0
    """From starting a replica to its first request, as last measured."""
    wake_seconds: float = 1.0
    """The same from waking one."""

    @property
    def present(self) -> int:
        """Replicas that work or soon will."""
        return self.ready + self.starting

    @property
    def sound(self) -> bool:
        measured = (self.time, self.arrived_work, self.waiting_work, self.cold_seconds)
        return (
            all(math.isfinite(number) and number >= 0 for number in measured[1:])
            and math.isfinite(self.time)
            and math.isfinite(self.wake_seconds)
            and min(self.in_flight, self.ready, self.starting, self.sleeping) >= 0
        )

    @property
    def idle(self) -> bool:
        return not (self.arrived_work or self.waiting_work or self.in_flight)


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    desired: int
    """Replicas that should be awake, those that are starting included."""
    standbys: int = 0
    """Replicas that should sleep, ready for a rise in demand."""
    why: str
    """'steady', 'robust', 'drain', 'forecast', 'bounds', 'idle', 'hold', or 'window': fewer are
    needed, and it is too early to trust that."""
