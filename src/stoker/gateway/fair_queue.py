"""Whose request is next: bands first, inside a band fair shares, inside a tenant the deadline.

A higher band goes first, but while others wait they age: each is credited a share of the work that
goes past it, and goes first once that pays for its next request. So a band with requests waiting
gets at least that share of all work, however much there is above it, and no request starves.
"""

from __future__ import annotations

import math

from stoker.gateway.band_queue import BandQueue
from stoker.gateway.entry import Entry
from stoker.gateway.priority_map import PriorityMap
from stoker.gateway.tenant import Band

AGEING_SHARE = 1 / 16
"""Of the work of higher bands, credited to each lower one with requests waiting."""


class FairQueue:
    """Holds nothing about a request once it has left and, if it was taken, has ended."""

    def __init__(self) -> None:
        self._bands = {band: BandQueue() for band in Band}
        self._age = dict.fromkeys(Band, 0.0)
        self._entries: dict[str, Entry] = {}
        self._deadlines = PriorityMap()

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, request_id: str) -> bool:
        return request_id in self._entries

    @property
    def units(self) -> float:
        """Of work that waits; see entry.py."""
        return sum(queue.units for queue in self._bands.values())

    @property
    def next_deadline(self) -> float:
        """Infinity when nothing that waits has one."""
        return self._deadlines.least() if self._deadlines else math.inf

    @property
    def lowest_band(self) -> Band | None:
        """With something waiting."""
        return max((band for band, queue in self._bands.items() if queue), default=None)

    def push(self, entry: Entry) -> None:
        self._entries[entry.request_id] = entry
        self._bands[entry.band].push(entry)
        if entry.deadline < math.inf:
            self._deadlines.put(entry.request_id, entry.deadline)

    def head(self) -> Entry | None:
        """Who is next, left in place."""
        first = None
        for band, queue in self._bands.items():
            if not queue:
                continue
            entry = self._entries[queue.first()]
            if first is None or self._age[band] >= entry.units:
                first = entry
        return first

    def take(self, entry: Entry) -> None:
        """`entry`, the head, is served; `ended` is to follow."""
        self._withdraw(entry)
        self._bands[entry.band].take(entry)
        self._age[entry.band] = 0.0
        for band, queue in self._bands.items():
            if band > entry.band:
                aged = self._age[band] + AGEING_SHARE * entry.units
                self._age[band] = aged if queue else 0.0

    def remove(self, request_id: str) -> Entry | None:
        """Takes a waiting request out unserved; None when it does not wait."""
        entry = self._entries.get(request_id)
        if entry is not None:
            self._withdraw(entry)
            self._bands[entry.band].remove(entry)
        return entry

    def expired(self, now: float) -> list[Entry]:
        """Takes out all whose deadline has passed."""
        found = []
        while self._deadlines and self._deadlines.least() <= now:
            found.append(self._entries[self._deadlines.first()])
            self.remove(found[-1].request_id)
        return found

    def charge(self, entry: Entry, units: float) -> None:
        """More than expected was needed by a request that was taken; below 0: less."""
        self._bands[entry.band].charge(entry, units)

    def ended(self, entry: Entry) -> None:
        self._bands[entry.band].ended(entry)

    def ahead(self, entry: Entry) -> float:
        """Units that would be taken before a new request, if nobody else came."""
        own = self._bands[entry.band].ahead(entry)
        higher = sum(queue.units for band, queue in self._bands.items() if band < entry.band)
        lower = sum(bool(queue) for band, queue in self._bands.items() if band > entry.band)
        aged = (own + entry.units) / AGEING_SHARE  # of the higher bands' work goes first, no more
        return (own + min(higher, aged)) * (1 + lower * AGEING_SHARE)

    def content(self, entry: Entry) -> int:
        """Places in use that will hardly come to a new request or to those before it."""
        return sum(
            queue.content(entry) for band, queue in self._bands.items() if band <= entry.band
        )

    def share(self, entry: Entry) -> float:
        """What part of its band's work the tenant of a new request would get."""
        return self._bands[entry.band].share(entry)

    def waiting(self) -> dict[Band, dict[str, int]]:
        """How many requests, by band and tenant."""
        return {band: queue.waiting() for band, queue in self._bands.items()}

    def oldest_arrival(self) -> float | None:
        return min((entry.arrival for entry in self._entries.values()), default=None)

    def _withdraw(self, entry: Entry) -> None:
        del self._entries[entry.request_id]
        if entry.deadline < math.inf:
            self._deadlines.remove(entry.request_id)
