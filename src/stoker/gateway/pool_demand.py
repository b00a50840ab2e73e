"""What the autoscaler is told of requests: a line's counts, in replica-seconds.

A unit of work (see entry.py) is the share of a second that it takes a replica with all its turns
taken, as far as the line has measured that. What was taken for less than it is shows in the line.
"""

from __future__ import annotations

from stoker.fleet.controller import Demand
from stoker.gateway.capacity import capacity_of
from stoker.gateway.line import ModelLine
from stoker.gateway.pool import ReplicaPool


class PoolDemand:
    """Implements DemandSource."""

    def __init__(self, line: ModelLine, pool: ReplicaPool) -> None:
        self._line = line
        self._pool = pool
        self._arrived_units = 0.0

    def measure(self) -> Demand:
        report, info = self._line.report(), self._pool.replica_info
        arrived = report.arrived_units - self._arrived_units
        self._arrived_units = report.arrived_units
        if info is None:
            return Demand(arrived_work=0.0, waiting_work=0.0, in_flight=report.in_flight)
        turns = capacity_of([info]).turns
        rate = report.drain_rate * turns / max(turns, report.capacity.turns)
        return Demand(
            arrived_work=arrived / rate,
            waiting_work=report.backlog_seconds * report.drain_rate / rate,
            in_flight=max(report.in_flight, self._pool.num_running),
        )

    def in_flight(self, replica_id: str) -> int:
        return self._pool.in_flight(replica_id)
