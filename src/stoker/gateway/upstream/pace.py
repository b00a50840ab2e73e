"""How long pieces of running answers wait for the next ones, so that one wake-up carries several.

Nothing waits while there is little to do. The busier the loop, the longer: what is joined costs
once what each of its pieces would have cost.
"""

from __future__ import annotations

import asyncio
from asyncio.events import TimerHandle
from typing import Protocol

QUIET = 2_000.0
"""Pieces a second, of all answers together, that are passed on one by one."""
BUSY = 10_000.0
"""From here on they wait the longest."""
LONGEST_SECONDS = 0.025
"""No reader notices: tokens that are read come at a third of this rate."""
MEASURED_SECONDS = 0.1


def waiting_seconds(pieces_per_second: float) -> float:
    share = (pieces_per_second - QUIET) / (BUSY - QUIET)
    return LONGEST_SECONDS * min(max(share, 0.0), 1.0)


class Sleeper(Protocol):
    def wake(self) -> None: ...


class Pace:
    """One timer for all answers of a loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._sleepers: list[Sleeper] = []
        self._timer: TimerHandle | None = None
        self._count = 0
        self._since = loop.time()
        self._seconds = 0.0

    def arrived(self, sleeper: Sleeper) -> None:
        """It is woken once, now or when its piece has waited for others."""
        self._count += 1
        now = self._loop.time()
        if now - self._since >= MEASURED_SECONDS:
            self._seconds = waiting_seconds(self._count / (now - self._since))
            self._since, self._count = now, 0
        if not self._seconds:
            sleeper.wake()
            return
        self._sleepers.append(sleeper)
        if self._timer is None:
            self._timer = self._loop.call_later(self._seconds, self._wake_all)

    def close(self) -> None:
        """Wakes everybody."""
        if self._timer is not None:
            self._timer.cancel()
            self._wake_all()

    def _wake_all(self) -> None:
        self._timer = None
        sleepers, self._sleepers = self._sleepers, []
        for sleeper in sleepers:
            sleeper.wake()
