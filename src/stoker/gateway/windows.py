"""The two spans that limits are counted in: the last minute, and a window of the calendar."""

from __future__ import annotations

from collections import deque
from datetime import UTC, datetime, timedelta

MINUTE = 60.0
SLOTS = 60
"""Of a second each. A slot counts until the last moment of it is a minute old, so that no sixty
seconds ever hold more than the limit."""


class LastMinute:
    """A sum over the last minute. Pure; `now` is monotonic seconds."""

    def __init__(self) -> None:
        self._slots: deque[list[int]] = deque()
        """[second, amount], oldest first; at most SLOTS + 1."""
        self._total = 0

    def total(self, now: float) -> int:
        oldest = int(now) - SLOTS
        while self._slots and self._slots[0][0] < oldest:
            self._total -= self._slots.popleft()[1]
        return self._total

    def add(self, amount: int, now: float) -> int:
        """Returns the second it is counted in, to `correct` it by."""
        second = int(now)
        if not self._slots or self._slots[-1][0] != second:
            self._slots.append([second, 0])
        self._slots[-1][1] += amount
        self._total += amount
        return second

    def correct(self, second: int, amount: int) -> None:
        """Adds `amount`, usually negative, to what was counted in `second`, if it still counts."""
        for slot in reversed(self._slots):
            if slot[0] == second:
                slot[1] += amount
                self._total += amount
            if slot[0] <= second:
                return

    def seconds_until(self, room: int, limit: int, now: float) -> float:
        """After which `room` more fit under `limit`, if nothing else comes; `room` is at most
        `limit`."""
        over = self.total(now) + room - limit
        for second, amount in self._slots:
            if over <= 0:
                return 0.0
            over -= amount
            if over <= 0:
                return second + SLOTS + 1 - now
        return 0.0


def window_of(kind: str, wall: float) -> str:
    """The calendar's window of that kind that holds the Unix time `wall`: the kind, and when it
    began in UTC. Later windows of one kind compare greater."""
    moment = datetime.fromtimestamp(wall, UTC)
    if kind == "week":
        moment -= timedelta(days=moment.weekday())
    return f"{kind} {moment.strftime(_FORMATS[kind])}"


def kind_of(window: str) -> str:
    return window.partition(" ")[0]


_FORMATS = {
    "hour": "%Y-%m-%dT%H:00",
    "day": "%Y-%m-%d",
    "week": "%Y-%m-%d",
    "month": "%Y-%m-01",
    "ever": "",
}
