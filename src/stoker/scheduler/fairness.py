"""Whose request is next: the virtual token counter (Sheng et al., OSDI 2024).

Each tenant's counter grows with the tokens computed for it; among tenants with waiting requests,
the one with the smallest counter is served. A prompt is charged when it is admitted, so that a
burst is admitted in turn. A tenant that had nothing waiting starts level with those that had:
time in which it asked for less than its share earns no credit. One that got more than they did is
not let off by leaving: what it is ahead stays known until they have caught up.
"""

from __future__ import annotations

import heapq

from stoker.core.request import Request
from stoker.scheduler.sequence import Sequence

INPUT_WEIGHT = 1.0
OUTPUT_WEIGHT = 2.0
MOST_DEBTS = 1024
"""Tenants that are remembered while they have nothing here. Beyond it the least debt is let off."""


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
        self._debts: dict[str, float] = {}
        """Counters of tenants that have nothing here and are ahead of some that have."""
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
            debt = self._debts.pop(sequence.request.tenant, 0.0)
            tenant = self._tenants[sequence.request.tenant] = _Tenant(debt)
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
        """The sequence is finished. Of a tenant with nothing left only a debt is remembered."""
        tenant = self._tenants[request.tenant]
        tenant.active -= 1
        if tenant.active == 0:
            del self._tenants[request.tenant]
            self._remember(request.tenant, tenant.counter)

    def waiting(self) -> list[Sequence]:
        return [entry[3] for tenant in self._tenants.values() for entry in tenant.waiting]

    def _remember(self, name: str, counter: float) -> None:
        """Whoever is not ahead of anybody would be lifted as far anyway; and when nobody is left,
        nobody is harmed by what was."""
        if not self._tenants:
            self._debts.clear()
            self._served = _Tenant(0.0)
            return
        least = min(self._level(), *(tenant.counter for tenant in self._tenants.values()))
        if counter > least:
            self._debts[name] = counter
        if len(self._debts) > MOST_DEBTS:
            self._debts = {name: debt for name, debt in self._debts.items() if debt > least}
        if len(self._debts) > MOST_DEBTS:
            del self._debts[min(self._debts, key=lambda name: self._debts[name])]

    def _level(self) -> float:
        waiting = (tenant.counter for tenant in self._tenants.values() if tenant.waiting)
        return min(waiting, default=self._served.counter)

    def _push(self, tenant: _Tenant, sequence: Sequence, *, preempted: bool) -> None:
        entry = (not preempted, sequence.request.priority, sequence.arrival, sequence)
        heapq.heappush(tenant.waiting, entry)
        self._size += 1
        self.num_tokens += len(sequence.tokens)
