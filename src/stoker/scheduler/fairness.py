"""Whose request is next: the virtual token counter (Sheng et al., OSDI 2024).

Each tenant's counter grows with the tokens computed for it; among tenants with waiting requests,
the one with the smallest counter is served. A prompt is charged when it is admitted, so that a
burst is admitted in turn. A tenant that had nothing waiting starts level with those that had:
time in which it asked for less than its share earns no credit.
"""

from __future__ import annotations

import heapq

from stoker.core.request import Request
from stoker.scheduler.sequence import Sequence

INPUT_WEIGHT = 1.0
OUTPUT_WEIGHT = 2.0


class _Tenant:
    def __init__(self, counter: float) -> None:
        self.counter = counter
        self.waiting: list[tuple[bool, int, int, Sequence]] = []
        self.active = 0
        """Sequences waiting or running."""


class FairQueue:
    """Waiting sequences. Within a tenant: preempted ones, then by priority, then by arrival."""

    def __init__(self) -> None:
        self._tenants: dict[str, _Tenant] = {}
        self._size = 0
        self.num_tokens = 0
        """Of all that wait."""
        self._served = _Tenant(0.0)
        """Whose sequence was taken last. It stands for the others while nothing waits."""

    def __len__(self) -> int:
        return self._size

    def add(self, sequence: Sequence) -> None:
        """A new sequence. Its tenant is known until `retire` is called for all of its sequences."""
        tenant = self._tenants.get(sequence.request.tenant)
        if tenant is None:
            tenant = self._tenants[sequence.request.tenant] = _Tenant(0.0)
        if not tenant.waiting:
            tenant.counter = max(tenant.counter, self._level())
        tenant.active += 1
        self._push(tenant, sequence, preempted=False)

    def put_back(self, sequence: Sequence) -> None:
        """A preempted sequence, ahead of its tenant's others."""
        self._push(self._tenants[sequence.request.tenant], sequence, preempted=True)

    def head(self) -> Sequence | None:
        """The sequence to admit next, left in place."""
        candidates = [tenant for tenant in self._tenants.values() if tenant.waiting]
        if not candidates:
            return None
        return min(candidates, key=lambda tenant: (tenant.counter, tenant.waiting[0][:3])).waiting[
            0
        ][3]

    def remove(self, sequence: Sequence) -> None:
        """Takes a waiting sequence out, from the head in logarithmic time."""
        self._served = self._tenants[sequence.request.tenant]
        waiting = self._served.waiting
        if waiting[0][3] is sequence:
            heapq.heappop(waiting)
        else:
            waiting[:] = [entry for entry in waiting if entry[3] is not sequence]
            heapq.heapify(waiting)
        self._size -= 1
        self.num_tokens -= len(sequence.tokens)

    def charge(self, sequence: Sequence, input_tokens: int = 0, output_tokens: int = 0) -> None:
        cost = INPUT_WEIGHT * input_tokens + OUTPUT_WEIGHT * output_tokens
        self._tenants[sequence.request.tenant].counter += cost

    def retire(self, request: Request) -> None:
        """The sequence is finished; a tenant with nothing left is forgotten, so that the table
        never outgrows the requests in flight."""
        tenant = self._tenants[request.tenant]
        tenant.active -= 1
        if tenant.active == 0:
            del self._tenants[request.tenant]

    def waiting(self) -> list[Sequence]:
        return [entry[3] for tenant in self._tenants.values() for entry in tenant.waiting]

    def _level(self) -> float:
        waiting = (tenant.counter for tenant in self._tenants.values() if tenant.waiting)
        return min(waiting, default=self._served.counter)

    def _push(self, tenant: _Tenant, sequence: Sequence, *, preempted: bool) -> None:
        entry = (not preempted, sequence.request.priority, sequence.arrival, sequence)
        heapq.heappush(tenant.waiting, entry)
        self._size += 1
        self.num_tokens += len(sequence.tokens)
