"""Names in the order of their priorities, each of which may change or leave at any time."""

from __future__ import annotations

import heapq

SLACK = 16
"""Dead places that are not worth tidying up."""

_Place = tuple[float, int, int, str]


class PriorityMap:
    """The least priority first; of equal ones the least rank, and then who came first.

    Everything is logarithmic on average: what was moved or removed leaves a dead place behind in
    the heap, and once most places are dead the heap is made anew. So there are never more than
    about twice as many places as names.
    """

    __slots__ = ("_heap", "_next", "_places")

    def __init__(self) -> None:
        self._places: dict[str, _Place] = {}
        self._heap: list[_Place] = []
        self._next = 0

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, name: str) -> bool:
        return name in self._places

    def put(self, name: str, priority: float, rank: int = 0) -> None:
        """A new name, or another priority for one that is there, then behind its equals."""
        place = self._places[name] = (priority, rank, self._next, name)
        self._next += 1
        heapq.heappush(self._heap, place)
        self._tidy()

    def remove(self, name: str) -> None:
        """Raises KeyError for a name that is not there."""
        del self._places[name]
        self._tidy()

    def first(self) -> str:
        """Raises IndexError when there is none."""
        return self._first()[3]

    def least(self) -> float:
        """The priority of the first. Raises IndexError when there is none."""
        return self._first()[0]

    def _first(self) -> _Place:
        heap, places = self._heap, self._places
        while places.get(heap[0][3]) is not heap[0]:
            heapq.heappop(heap)
        return heap[0]

    def _tidy(self) -> None:
        if len(self._heap) > 2 * len(self._places) + SLACK:
            self._heap = list(self._places.values())
            heapq.heapify(self._heap)
