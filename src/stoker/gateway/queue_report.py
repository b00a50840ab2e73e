"""What metrics, the autoscaler and `explain` are told about a line."""

from __future__ import annotations

import enum

import msgspec

from stoker.gateway.capacity import Capacity
from stoker.gateway.tenant import Band


class Refusal(enum.Enum):
    """Why a request may not join."""

    FULL = "the queue is full"
    DEADLINE = "its turn would come too late"
    STANDING = "the queue has been standing for long"


class QueueReport(msgspec.Struct, frozen=True, kw_only=True):
    waiting: int
    in_flight: int
    tokens_in_flight: int
    """Of memory that they may come to hold."""
    capacity: Capacity
    backlog_seconds: float
    """What waits over how fast it drains."""
    drain_rate: float
    """Units a second; see entry.py."""
    oldest_wait: float
    """Seconds; 0 when nothing waits."""
    standing_intervals: int
    """Above 0: there is a standing queue, and the lowest bands' new requests are being refused."""
    by_band: dict[Band, dict[str, int]]
    """Waiting requests by band and tenant."""
    refused: dict[Refusal, int]
    """Since the start, like `late`."""
    late: int
    """Requests whose time ran out while they waited."""
    arrived_units: float
    """Since the start, of all that came, the refused ones, too."""
