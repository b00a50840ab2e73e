"""What a load generator is told, and what it saw."""

from __future__ import annotations

import enum

import msgspec


class Pace(enum.Enum):
    CLOSED = "closed"
    """Every connection asks again as soon as it is answered."""
    OPEN = "open"
    """Requests come at a rate, whatever becomes of those before them; latency counts from when a
    request was due."""
    HELD = "held"
    """Every connection asks once, and all answers are under way at the same time."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    port: int
    pace: Pace
    connections: int
    """With `OPEN`: the most."""
    seconds: float = 0.0
    rate: float = 0.0
    """Requests a second: with `OPEN`, and how fast connections begin with `HELD`."""
    model: str = "bench"
    api_key: str = ""
    stream: bool = False
    tokens: int = 16
    token_rate: int = 0
    """A second and answer; 0: all at once."""
    prompt_bytes: int = 100
    path: str = "/v1/chat/completions"


class Percentiles(msgspec.Struct, frozen=True):
    """Milliseconds."""

    p50: float = 0.0
    p90: float = 0.0
    p99: float = 0.0
    most: float = 0.0


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    completed: int
    failed: int
    failures: dict[str, int]
    """By what was wrong."""
    seconds: float
    """From the first request to the last answer."""
    latency: Percentiles
    first: Percentiles
    """To the first byte of the body."""
    events: int


def percentiles(seconds: list[float]) -> Percentiles:
    if not seconds:
        return Percentiles()
    ordered = sorted(seconds)
    last = len(ordered) - 1
    marks = (ordered[round(share * last)] * 1e3 for share in (0.5, 0.9, 0.99, 1.0))
    return Percentiles(*marks)
