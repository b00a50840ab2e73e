"""From how many replicas there should be to which one to wake, start, put to sleep or end. Pure.

More: those that sleep are woken first, the rest is started. Fewer: the emptiest first, and as many
as are wanted asleep sleep, the others end. A placer that keeps processes warm, or files near, uses
them when it starts one: that is its own affair.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from stoker.fleet.interface import ReplicaId, ReplicaState
from stoker.fleet.pool_sample import Decision

PRESENT = (ReplicaState.STARTING, ReplicaState.UNWELL, ReplicaState.READY)
"""Those that work or soon will, the easiest to do without first."""


class Standing(msgspec.Struct, frozen=True):
    replica_id: ReplicaId
    state: ReplicaState
    in_flight: int = 0


class Changes(msgspec.Struct, frozen=True, kw_only=True):
    wake: tuple[ReplicaId, ...] = ()
    start: int = 0
    sleep: tuple[ReplicaId, ...] = ()
    stop: tuple[ReplicaId, ...] = ()


def changes(decision: Decision, replicas: Sequence[Standing]) -> Changes:
    """What makes `replicas` what was decided."""
    present = [one for one in replicas if one.state in PRESENT]
    asleep = [one.replica_id for one in replicas if one.state is ReplicaState.SLEEPING]
    missing = decision.desired - len(present)
    if missing >= 0:
        wake = asleep[:missing]
        spare = asleep[missing : max(missing, len(asleep) - decision.standbys)]
        return Changes(wake=tuple(wake), start=missing - len(wake), stop=tuple(spare))
    present.sort(key=lambda one: (one.in_flight, PRESENT.index(one.state)))
    return _fewer(present[:-missing], asleep, decision.standbys)


def _fewer(leaving: Sequence[Standing], asleep: list[ReplicaId], standbys: int) -> Changes:
    room = max(0, standbys - len(asleep))
    able = [one.replica_id for one in leaving if one.state is ReplicaState.READY]
    sleep = able[:room]
    stop = [one.replica_id for one in leaving if one.replica_id not in sleep]
    spare = asleep[: max(0, len(asleep) - standbys)]
    return Changes(sleep=tuple(sleep), stop=(*stop, *spare))
