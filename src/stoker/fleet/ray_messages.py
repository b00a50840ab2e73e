"""What the front and the process that speaks with Ray say to each other: one JSON object a line.

The front gives orders; the other side tells what became of them.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec


class Place(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Find room for a replica and start it there."""

    replica_id: str
    resources: dict[str, float]
    """As Ray names and counts them: CPU, GPU, memory in bytes."""
    program: tuple[str, ...]
    """What the node's Python runs: a module and its arguments."""
    settings: str
    """The text of the replica's configuration file."""
    key: str
    """For tickets."""


class Stop(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """End it, or give up looking for room."""

    replica_id: str
    seconds: float
    """It may take so long to end by itself."""


Order: TypeAlias = Place | Stop


class Connected(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The first news, unless it is Refused."""


class Refused(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """There is no way to Ray. The last news."""

    message: str
    hint: str


class Waiting(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """No node has room. Said again and again while it is so."""

    replica_id: str
    reason: str


class Serving(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The replica takes requests."""

    replica_id: str
    url: str


class Ended(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """It is no more, and its room is free. The last news of a replica."""

    replica_id: str
    reason: str
    exit_code: int | None = None
    """Of its process; not set when that was lost with its actor or node, or never started."""


News: TypeAlias = Connected | Refused | Waiting | Serving | Ended


NO_CLUSTER = "Start one with 'ray start --head', or set the model's ray.address to HOST:PORT."
"""A hint."""


def line(message: Order | News) -> bytes:
    return msgspec.json.encode(message) + b"\n"
