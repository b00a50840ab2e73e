"""One model of several that share memory: how large it is, where it stands, and when it may go.
Pure."""

from __future__ import annotations

import enum

import msgspec

IDLE_TIMES = 1.0
BUSY_TIMES = 4.0
"""Times what loading took: how long a model stays at least, without and with requests. So at most a
fifth of the time goes into loading, or half of it if requests come one by one."""
SHORTEST_SECONDS = 0.5


class ModelSize(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    weight_bytes: int
    """Held while it sleeps, too."""
    kv_bytes: int
    """Keys, values and scratch: held while it is awake."""
    load_seconds: float = 10.0
    """A guess, until it was measured."""
    pinned: bool = False
    """Always there."""

    @property
    def awake_bytes(self) -> int:
        return self.weight_bytes + self.kv_bytes


class ModelDemand(msgspec.Struct, frozen=True):
    waiting: int = 0
    """Requests that no replica has."""
    running: int = 0


class Residence(enum.Enum):
    ABSENT = "absent"
    LOADING = "loading"
    AWAKE = "awake"
    FALLING_ASLEEP = "falling asleep"
    ASLEEP = "asleep"
    WAKING = "waking"
    UNLOADING = "unloading"


class Step(enum.Enum):
    """What is to be done with a model now. Whoever does it reports with `SwapPlan.became`."""

    LOAD = "load"
    WAKE = "wake"
    SLEEP = "sleep"
    UNLOAD = "unload"


_UNDER_WAY = {
    Step.LOAD: Residence.LOADING,
    Step.WAKE: Residence.WAKING,
    Step.SLEEP: Residence.FALLING_ASLEEP,
    Step.UNLOAD: Residence.UNLOADING,
}


class Resident:
    """One model, as the plan knows it."""

    def __init__(self, size: ModelSize) -> None:
        self.size = size
        self.load_seconds = size.load_seconds
        self.residence = Residence.ABSENT
        self.asleep_before = False
        """Whether it was asleep when it began to unload."""
        self.since = 0.0
        """When it became what it is."""
        self.used = 0.0
        """When it last had requests."""
        self.wanted: float | None = None
        """Since when requests wait for it to come."""
        self.busy = False

    @property
    def held_bytes(self) -> int:
        """The most it may be holding: what leaves holds all until it has left."""
        if self.residence is Residence.ABSENT:
            return 0
        light = self.residence is Residence.ASLEEP or self.asleep_before
        return self.size.weight_bytes if light else self.size.awake_bytes

    @property
    def freed_bytes(self) -> int:
        """What it will have given back when it has left."""
        if self.residence is Residence.FALLING_ASLEEP:
            return self.size.kv_bytes
        return self.held_bytes if self.residence is Residence.UNLOADING else 0

    @property
    def missing_bytes(self) -> int:
        """What it needs to be awake."""
        return self.size.awake_bytes - self.held_bytes

    def may_leave(self, now: float, patience: float) -> bool:
        times = BUSY_TIMES if self.busy else IDLE_TIMES
        stay = min(max(SHORTEST_SECONDS, times * self.load_seconds), patience)
        return now - self.since >= stay

    def worth(self, now: float) -> float:
        """Keeping it is worth little if it was not used for long and is back soon."""
        return self.load_seconds / max(now - self.used, 1e-3)

    def observe(self, demand: ModelDemand, now: float) -> None:
        self.busy = bool(demand.running or demand.waiting)
        if self.busy:
            self.used = now
        if not demand.waiting or self.residence is Residence.AWAKE:
            self.wanted = None
        elif self.wanted is None:
            self.wanted = now

    def begin(self, step: Step) -> None:
        self.asleep_before = step is Step.UNLOAD and self.residence is Residence.ASLEEP
        self.residence = _UNDER_WAY[step]

    def gain(self, step: Step) -> int:
        """Bytes that this step gives back."""
        return self.size.kv_bytes if step is Step.SLEEP else self.held_bytes
