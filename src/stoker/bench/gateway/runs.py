"""One run of a load on one subject, and what it took."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from stoker.bench.gateway.plan import Pace, Plan, Seen
from stoker.bench.gateway.processes import cpu_seconds
from stoker.bench.gateway.programs import child
from stoker.bench.gateway.subjects import KEY, MODEL, Start, Subject


@contextlib.asynccontextmanager
async def started(start: Start, backend: int) -> AsyncIterator[Subject]:
    with tempfile.TemporaryDirectory() as folder:
        async with start(backend, Path(folder)) as subject:
            yield subject


def plan_for(subject: Subject, pace: Pace, connections: int, **more: object) -> Plan:
    plan = Plan(port=subject.port, pace=pace, connections=connections, model=MODEL, api_key=KEY)
    return msgspec.structs.replace(plan, **more)


async def load(plan: Plan) -> Seen:
    async with child("load") as (process, commands, output):
        commands.write(msgspec.json.encode(plan))
        commands.close()
        seen = msgspec.json.decode(await output.read(), type=Seen)
        await process.wait()
    return seen


class Spent(NamedTuple):
    """Seconds of processor time that a plan took a subject."""

    all: float
    passing: float
    """Of that: the process that tokens pass through."""


async def with_cpu(subject: Subject, plan: Plan) -> tuple[Seen, Spent]:
    before = [cpu_seconds(pid) for pid in subject.pids]
    seen = await load(plan)
    each = [cpu_seconds(pid) - start for pid, start in zip(subject.pids, before, strict=True)]
    return seen, Spent(sum(each), sum(each[:1]))


def per(count: int, seconds: float) -> float:
    return count / seconds if seconds else 0.0
