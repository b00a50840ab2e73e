"""How much may be in flight at the replicas of one model."""

from __future__ import annotations

import sys
from collections.abc import Iterable

import msgspec

from stoker.engine.interface import EngineInfo

LOOK_AHEAD = 0.125
"""Of what runs, sent on before its time, so that no replica waits for the next request."""


class Capacity(msgspec.Struct, frozen=True):
    turns: int
    """Sequences; most requests are one."""
    tokens: int = sys.maxsize
    """Prompt and expected new tokens of all of them together: a prompt of 8,000 is not one unit."""


NONE = Capacity(0, 0)


def capacity_of(ready: Iterable[EngineInfo]) -> Capacity:
    """Of these replicas together: what they run at once, and a little more to go on with."""
    turns = tokens = 0
    for info in ready:
        turns += info.max_running + max(1, int(LOOK_AHEAD * info.max_running))
        tokens += int((1 + LOOK_AHEAD) * info.num_blocks * info.block_size)
    return Capacity(turns, tokens)
