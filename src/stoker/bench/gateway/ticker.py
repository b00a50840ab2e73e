"""Calls many functions at a steady rate each, spread evenly over time, with one timer a rate."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

Tick = Callable[[], bool]
"""False: not again."""
STEP_SECONDS = 0.002


class Tickers:
    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._wheels: dict[int, Wheel] = {}

    def add(self, tick: Tick, rate: int) -> None:
        """`rate` calls a second, the first within one interval."""
        wheel = self._wheels.get(rate)
        if wheel is None:
            wheel = self._wheels[rate] = Wheel(self._loop, rate)
        wheel.add(tick)


class Wheel:
    """Turns once an interval. Late turns are made up for, one by one."""

    def __init__(self, loop: asyncio.AbstractEventLoop, rate: int) -> None:
        self._loop = loop
        size = max(1, round(1 / (rate * STEP_SECONDS)))
        self._step = 1 / (rate * size)
        self._slots: list[list[Tick]] = [[] for _ in range(size)]
        self._next = 0
        self._newest = 0
        """Slots are filled in turn: what begins at the same moment does not stay in step."""
        self._due = loop.time() + self._step
        loop.call_at(self._due, self._turn)

    def add(self, tick: Tick) -> None:
        self._slots[self._newest].append(tick)
        self._newest = (self._newest + 1) % len(self._slots)

    def _turn(self) -> None:
        now = self._loop.time()
        while self._due <= now:
            slot = self._slots[self._next]
            self._slots[self._next] = [tick for tick in slot if tick()]
            self._next = (self._next + 1) % len(self._slots)
            self._due += self._step
        self._loop.call_at(self._due, self._turn)
