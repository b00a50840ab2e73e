"""Whose request is next in a band: the virtual token counter (Sheng et al., OSDI 2024), weighted.

Each tenant's counter grows by the work taken for it divided by its weight, and whoever has the
least is next. Work is charged when it is taken, as far as it is known then, and put right later.
Of any two tenants that have had requests waiting since they were level, neither ever got more than
2·M ahead of the other in work divided by weight, M being the most that one of them may have taken
and not finished, likewise divided. From one moment to another the two differ by no more than 4·M.
"""

from __future__ import annotations

import itertools

from stoker.gateway.entry import Entry
from stoker.gateway.priority_map import PriorityMap

MOST_INDEBTED = 1024
"""Absent tenants that are remembered because they were ahead of the others when they left."""


class Lane:
    """One tenant's requests: earliest deadline first, then as they came."""

    __slots__ = ("counter", "taken", "units", "waiting", "weight")

    def __init__(self, counter: float) -> None:
        self.counter = counter
        self.weight = 1.0
        self.waiting = PriorityMap()
        self.units = 0.0
        """Of what waits."""
        self.taken = 0
        """Places of requests taken and not ended."""


class BandQueue:
    def __init__(self) -> None:
        self._lanes: dict[str, Lane] = {}
        self._order = PriorityMap()
        """Tenants with something waiting, by counter; level ones by what they have in flight."""
        self._indebted: dict[str, None] = {}
        self._served = Lane(0.0)
        """Who was served last stands for the others while nothing waits."""
        self._weights = 0.0
        """Of tenants with something waiting."""
        self._taken = 0
        self._taken_by_waiting = 0
        """Of these, by tenants with something waiting."""
        self.units = 0.0
        """Of all that wait."""

    def __bool__(self) -> bool:
        return len(self._order) > 0

    def push(self, entry: Entry) -> None:
        """A tenant that had nothing waiting starts level with those that had, or further back if
        it got more than they did: idling earns no credit, and leaving loses no debt."""
        lane = self._lanes.get(entry.tenant)
        if lane is None:
            lane = self._lanes[entry.tenant] = Lane(self._level())
        self._indebted.pop(entry.tenant, None)
        if lane.waiting:
            self._weights += entry.weight - lane.weight
        else:
            self._weights += entry.weight
            self._taken_by_waiting += lane.taken
            lane.counter = max(lane.counter, self._level())
            self._order.put(entry.tenant, lane.counter, lane.taken)
        lane.weight = entry.weight
        lane.waiting.put(entry.request_id, entry.deadline)
        lane.units += entry.units
        self.units += entry.units

    def first(self) -> str:
        """The id of the next request. Raises IndexError when there is none."""
        return self._lanes[self._order.first()].waiting.first()

    def take(self, entry: Entry) -> None:
        """It stops waiting and is charged what it is expected to need; `ended` is to follow."""
        lane = self._served = self._lanes[entry.tenant]
        self._withdraw(entry, lane)
        self._hold(lane, entry.sequences)
        self.charge(entry, entry.units)

    def remove(self, entry: Entry) -> None:
        """It stops waiting and was never served."""
        lane = self._lanes[entry.tenant]
        self._withdraw(entry, lane)
        self._forget(entry.tenant, lane)

    def charge(self, entry: Entry, units: float) -> None:
        """What a taken request needed beyond what it was charged; below 0: what it did not need."""
        lane = self._lanes[entry.tenant]
        lane.counter += units / lane.weight
        if lane.waiting:
            self._order.put(entry.tenant, lane.counter, lane.taken)

    def ended(self, entry: Entry) -> None:
        lane = self._lanes[entry.tenant]
        self._hold(lane, -entry.sequences)
        self._forget(entry.tenant, lane)

    def ahead(self, entry: Entry) -> float:
        """Units of this band that would be taken before a new request, if nobody else came."""
        lane, level = self._lanes.get(entry.tenant), self._level()
        counter = level if lane is None else max(lane.counter, level)
        own = 0.0 if lane is None else lane.units
        until = counter - level + own / entry.weight
        return min(self.units, until * entry.weight / self.share(entry))

    def share(self, entry: Entry) -> float:
        """What part of the band's work its tenant would get, with all that wait now."""
        lane = self._lanes.get(entry.tenant)
        already = lane.weight if lane is not None and lane.waiting else 0.0
        return entry.weight / (self._weights - already + entry.weight)

    def content(self, entry: Entry) -> int:
        """How many places other tenants hold that have nothing waiting. They will hardly want
        more than those, nor fewer, so they are not for those that wait."""
        lane = self._lanes.get(entry.tenant)
        own = lane.taken if lane is not None and not lane.waiting else 0
        return self._taken - self._taken_by_waiting - own

    def waiting(self) -> dict[str, int]:
        """How many requests, by tenant."""
        return {name: len(lane.waiting) for name, lane in self._lanes.items() if lane.waiting}

    def _level(self) -> float:
        return self._order.least() if self._order else self._served.counter

    def _hold(self, lane: Lane, places: int) -> None:
        lane.taken += places
        self._taken += places
        if lane.waiting:
            self._taken_by_waiting += places

    def _withdraw(self, entry: Entry, lane: Lane) -> None:
        lane.waiting.remove(entry.request_id)
        lane.units -= entry.units
        self.units -= entry.units
        if not lane.waiting:
            lane.units = 0.0
            self._weights -= lane.weight
            self._taken_by_waiting -= lane.taken
            self._order.remove(entry.tenant)
            if not self._order:
                self.units = self._weights = 0.0  # sums of fractions do not return to 0 exactly

    def _forget(self, tenant: str, lane: Lane) -> None:
        """So that there are about as many lanes as tenants with requests."""
        if lane.waiting or lane.taken:
            return
        if not self._order and not self._taken:  # nobody is harmed by what was
            self._lanes.clear()
            self._indebted.clear()
            self._served = Lane(0.0)
            return
        self._indebted[tenant] = None
        for name in list(itertools.islice(self._indebted, 2)):
            if len(self._indebted) > MOST_INDEBTED or self._lanes[name].counter <= self._level():
                del self._indebted[name], self._lanes[name]
