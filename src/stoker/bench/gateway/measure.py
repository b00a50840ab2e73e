"""Measures what stands between clients and an instant backend: each subject in turn, with the load
generator and the backend in processes of their own."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from stoker.bench.gateway.plan import Pace, Plan, Seen
from stoker.bench.gateway.processes import cpu_seconds, resident_bytes
from stoker.bench.gateway.report import GatewayReport, HeldFigures, SoakFigures, SubjectFigures
from stoker.bench.gateway.subjects import KEY, MODEL, PEERS, Start, Subject, nothing, stoker
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
    streams: int = 0
    """To hold open at once; 0: not tried."""
    soak: float = 0.0
    """Seconds."""


async def measure_gateway(options: GatewayOptions) -> GatewayReport:
    """Raises SetupError when a subject cannot be started."""
    _allow_descriptors(2 * options.streams + SPARE_DESCRIPTORS)
    figures: list[SubjectFigures] = []
    held = soak = None
    async with _backend() as backend:
        starts = [nothing, stoker, *(PEERS[name] for name in options.peers)]
        ours = await _saturation(stoker, backend, options.seconds)
        for start in starts:
            async with _started(start, backend) as subject:
                figures.append(await _figures(subject, options.seconds, ours))
        if options.streams:
            async with _started(stoker, backend) as subject:
                held = await _held(subject, options.streams)
        if options.soak:
            async with _started(stoker, backend) as subject:
                soak = await _soak(subject, options.soak)
    return GatewayReport(
        machine=this_machine(), seconds=options.seconds, subjects=figures, held=held, soak=soak
    )


async def _saturation(start: Start, backend: int, seconds: float) -> float:
    async with _started(start, backend) as subject:
        await _load(_closed(subject, min(1.0, seconds)))
        seen = await _load(_closed(subject, seconds))
        return seen.completed / seen.seconds


async def _figures(subject: Subject, seconds: float, ours: float) -> SubjectFigures:
    """`ours` is the rate that our own gateway manages; everybody gets half of it, or of his own."""
    await _load(_closed(subject, min(1.0, seconds)))
    full, core = await _with_cpu(subject, _closed(subject, seconds))
    most = full.completed / full.seconds
    half = await _load(_plan(subject, Pace.OPEN, 512, seconds=seconds, rate=min(ours, most) / 2))
    long = await _load(_plan(subject, Pace.CLOSED, 1, seconds=seconds, prompt_bytes=PROMPT_BYTES))
    streams = max(1, int(STREAMS * subject.share))
    paced, paced_core = await _with_cpu(
        subject,
        _plan(subject, Pace.CLOSED, streams, seconds=seconds, stream=True, tokens=2 * TOKEN_RATE,
              token_rate=TOKEN_RATE),
    )  # fmt: skip
    burst, burst_core = await _with_cpu(
        subject, _plan(subject, Pace.CLOSED, CONNECTIONS, seconds=seconds, stream=True, tokens=200)
    )
    every = (full, half, long, paced, burst)
    return SubjectFigures(
        name=subject.name,
        requests_per_second=most,
        requests_per_core=full.completed / core if core else 0.0,
        half_load=half.latency,
        long_prompt=long.latency,
        events_per_core=paced.events / paced_core if paced_core else 0.0,
        burst_events_per_core=burst.events / burst_core if burst_core else 0.0,
        failed=sum(seen.failed for seen in every),
        failures={what: count for seen in every for what, count in seen.failures.items()},
    )


def _closed(subject: Subject, seconds: float) -> Plan:
    return _plan(subject, Pace.CLOSED, CONNECTIONS, seconds=seconds)


def _plan(subject: Subject, pace: Pace, connections: int, **more: object) -> Plan:
    plan = Plan(port=subject.port, pace=pace, connections=connections, model=MODEL, api_key=KEY)
    return msgspec.structs.replace(plan, **more)


async def _with_cpu(subject: Subject, plan: Plan) -> tuple[Seen, float]:
    """And the seconds of processor time it took the subject."""
    before = cpu_seconds(subject.pid) if subject.pid else 0.0
    seen = await _load(plan)
    return seen, (cpu_seconds(subject.pid) - before if subject.pid else 0.0)


async def _held(subject: Subject, streams: int) -> HeldFigures:
    if subject.pid is None:
        raise SetupError("there is no process to look at")
    await _load(_closed(subject, 1.0))
    before = resident_bytes(subject.pid)
    plan = _plan(
        subject, Pace.HELD, streams, rate=HELD_RATE, stream=True, tokens=HELD_TOKENS, token_rate=1
    )
    async with _child("load") as (process, commands, output):
        commands.write(msgspec.json.encode(plan))
        commands.close()
        await output.readline()  # all are under way
        during = resident_bytes(subject.pid)
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
    if subject.pid is None:
        raise SetupError("there is no process to look at")
    await _load(_closed(subject, min(10.0, seconds)))
    resident = [resident_bytes(subject.pid) / (1 << 20)]
    completed = failed = 0
    for number in range(SOAK_SAMPLES):
        streamed = bool(number % 2)
        seen = await _load(
            _plan(
                subject, Pace.CLOSED, CONNECTIONS, seconds=seconds / SOAK_SAMPLES, stream=streamed
            )
        )
        completed, failed = completed + seen.completed, failed + seen.failed
        resident.append(resident_bytes(subject.pid) / (1 << 20))
    return SoakFigures(seconds=seconds, completed=completed, failed=failed, resident_mib=resident)


async def _load(plan: Plan) -> Seen:
    async with _child("load") as (process, commands, output):
        commands.write(msgspec.json.encode(plan))
        commands.close()
        seen = msgspec.json.decode(await output.read(), type=Seen)
        await process.wait()
    return seen


@contextlib.asynccontextmanager
async def _backend() -> AsyncIterator[int]:
    async with _child("fake_backend") as (process, commands, output):
        yield int(await output.readline())
        commands.close()
        await process.wait()


@contextlib.asynccontextmanager
async def _child(
    module: str,
) -> AsyncIterator[tuple[asyncio.subprocess.Process, asyncio.StreamWriter, asyncio.StreamReader]]:
    """A module of this package as a program. Ended at the end if it still runs."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", f"stoker.bench.gateway.{module}",
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    if process.stdin is None or process.stdout is None:
        raise SetupError("a program was started without its pipes")
    try:
        yield process, process.stdin, process.stdout
    except BaseException:
        if process.returncode is None:
            process.kill()
        raise
    finally:
        await process.wait()


@contextlib.asynccontextmanager
async def _started(start: Start, backend: int) -> AsyncIterator[Subject]:
    with tempfile.TemporaryDirectory() as folder:
        async with start(backend, Path(folder)) as subject:
            yield subject


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
