"""Measures what stands between clients and an instant backend: each subject in turn, with the load
generator and the backend in processes of their own."""

from __future__ import annotations

import resource
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import msgspec

from stoker.bench.gateway.direct_subject import direct
from stoker.bench.gateway.in_turns import LENGTHS, in_turns
from stoker.bench.gateway.plan import Pace, Plan, Seen
from stoker.bench.gateway.processes import resident_bytes
from stoker.bench.gateway.programs import child, serving
from stoker.bench.gateway.report import (
    DirectFigures,
    GatewayReport,
    HeldFigures,
    SoakFigures,
    SubjectFigures,
)
from stoker.bench.gateway.runs import load, per, plan_for, started, with_cpu
from stoker.bench.gateway.subjects import PEERS, Start, Subject, nginx, nothing, stoker
from stoker.bench.machine import this_machine
from stoker.errors import SetupError

CONNECTIONS = 32
STREAMS = 200
TOKEN_RATE = 50
"""A second and stream."""
PROMPT_BYTES = 220_000
HELD_TOKENS = 30
HELD_RATE = 1000.0
"""New streams a second, each with a token a second."""
SOAK_SAMPLES = 10
SPARE_DESCRIPTORS = 200


@dataclass(frozen=True)
class GatewayOptions:
    seconds: float = 5.0
    peers: Sequence[str] = ()
    direct: str = ""
    """A model whose tokenizer a front in direct mode has; empty: not tried."""
    streams: int = 0
    """To hold open at once; 0: not tried."""
    soak: float = 0.0
    """Seconds."""


async def measure_gateway(options: GatewayOptions) -> GatewayReport:
    """Raises SetupError when a subject cannot be started."""
    _allow_descriptors(2 * options.streams + SPARE_DESCRIPTORS)
    figures: list[SubjectFigures] = []
    held = soak = None
    async with serving("fake_backend") as backend:
        starts = [nothing, stoker, *(PEERS[name] for name in options.peers)]
        if options.direct:
            starts.append(partial(direct, options.direct))
        ours = await _saturation(stoker, backend, options.seconds)
        for start in starts:
            async with started(start, backend) as subject:
                figures.append(await _figures(subject, options.seconds, ours))
        beside = await _direct(options, backend)
        if options.streams:
            async with started(stoker, backend) as subject:
                held = await _held(subject, options.streams)
        if options.soak:
            async with started(stoker, backend) as subject:
                soak = await _soak(subject, options.soak)
    return GatewayReport(
        machine=this_machine(),
        seconds=options.seconds,
        subjects=figures,
        direct=beside,
        held=held,
        soak=soak,
    )


async def _direct(options: GatewayOptions, backend: int) -> list[DirectFigures]:
    if not options.direct:
        return []
    async with (
        started(nginx, backend) as alone,
        started(partial(direct, options.direct), backend) as ours,
    ):
        return [await in_turns(alone, ours, tokens, options.seconds) for tokens in LENGTHS]


async def _saturation(start: Start, backend: int, seconds: float) -> float:
    async with started(start, backend) as subject:
        await load(_closed(subject, min(1.0, seconds)))
        seen = await load(_closed(subject, seconds))
        return seen.completed / seen.seconds


async def _figures(subject: Subject, seconds: float, ours: float) -> SubjectFigures:
    """`ours` is the rate that our own gateway manages; everybody gets half of it, or of his own."""
    await load(_closed(subject, min(1.0, seconds)))
    full, spent = await with_cpu(subject, _closed(subject, seconds))
    most = full.completed / full.seconds
    half = await load(plan_for(subject, Pace.OPEN, 512, seconds=seconds, rate=min(ours, most) / 2))
    long = await load(plan_for(subject, Pace.CLOSED, 1, seconds=seconds, prompt_bytes=PROMPT_BYTES))
    streams = max(1, int(STREAMS * subject.share))
    paced, paced_spent = await with_cpu(
        subject,
        plan_for(subject, Pace.CLOSED, streams, seconds=seconds, stream=True, tokens=2 * TOKEN_RATE,
              token_rate=TOKEN_RATE),
    )  # fmt: skip
    burst, burst_spent = await with_cpu(
        subject,
        plan_for(subject, Pace.CLOSED, CONNECTIONS, seconds=seconds, stream=True, tokens=200),
    )
    every = (full, half, long, paced, burst)
    return SubjectFigures(
        name=subject.name,
        requests_per_second=most,
        requests_per_core=per(full.completed, spent.all),
        half_load=half.latency,
        long_prompt=long.latency,
        events_per_core=per(paced.events, paced_spent.all),
        burst_events_per_core=per(burst.events, burst_spent.all),
        failed=sum(seen.failed for seen in every),
        failures={what: count for seen in every for what, count in seen.failures.items()},
    )


def _closed(subject: Subject, seconds: float) -> Plan:
    return plan_for(subject, Pace.CLOSED, CONNECTIONS, seconds=seconds)


async def _held(subject: Subject, streams: int) -> HeldFigures:
    await load(_closed(subject, 1.0))
    before = _resident(subject)
    plan = plan_for(
        subject, Pace.HELD, streams, rate=HELD_RATE, stream=True, tokens=HELD_TOKENS, token_rate=1
    )
    async with child("load") as (process, commands, output):
        commands.write(msgspec.json.encode(plan))
        commands.close()
        await output.readline()  # all are under way
        during = _resident(subject)
        seen = msgspec.json.decode(await output.read(), type=Seen)
        await process.wait()
    return HeldFigures(
        streams=streams,
        failed=seen.failed,
        bytes_per_stream=(during - before) / streams,
        events=seen.events,
        first_token=seen.first,
    )


async def _soak(subject: Subject, seconds: float) -> SoakFigures:
    await load(_closed(subject, min(10.0, seconds)))
    resident = [_resident(subject) / (1 << 20)]
    completed = failed = 0
    for number in range(SOAK_SAMPLES):
        streamed = bool(number % 2)
        seen = await load(
            plan_for(
                subject, Pace.CLOSED, CONNECTIONS, seconds=seconds / SOAK_SAMPLES, stream=streamed
            )
        )
        completed, failed = completed + seen.completed, failed + seen.failed
        resident.append(_resident(subject) / (1 << 20))
    return SoakFigures(seconds=seconds, completed=completed, failed=failed, resident_mib=resident)


def _resident(subject: Subject) -> int:
    return sum(map(resident_bytes, subject.pids))


def _allow_descriptors(wanted: int) -> None:
    """For this process and those it starts. Raises SetupError when the machine allows fewer."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), max(hard, wanted)))
    except (ValueError, OSError):
        raise SetupError(
            f"{wanted} open files are needed, and {hard} are allowed",
            hint="Raise it with `ulimit -Hn`, or hold fewer streams.",
        ) from None
