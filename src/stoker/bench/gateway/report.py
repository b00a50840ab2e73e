"""What a gateway costs, beside other proxies in the same run."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

import msgspec

from stoker.bench.gateway.plan import Percentiles
from stoker.bench.machine import Machine


class SubjectFigures(msgspec.Struct, frozen=True, kw_only=True):
    """Of one subject. A figure per core is per second of its own processor time."""

    name: str
    requests_per_second: float
    """As many as it can, not streamed."""
    requests_per_core: float
    half_load: Percentiles
    """Of whole answers, at half of what ours can do; of a weaker subject's own half."""
    long_prompt: Percentiles
    """Of one client with a prompt of `PROMPT_BYTES`."""
    events_per_core: float
    """Tokens that come one by one, many streams at once."""
    burst_events_per_core: float
    """Tokens that are all there at once."""
    failed: int
    failures: dict[str, int]


class DirectFigures(msgspec.Struct, frozen=True, kw_only=True):
    """Token events a second and core behind nginx alone and in direct mode, measured in turns."""

    tokens: int
    """Of an answer."""
    alone: list[float]
    direct: list[float]
    """Of nginx, which tokens pass through, too."""
    decided: list[float]
    """Of nginx and the front that decides together."""
    failed: int

    @property
    def share(self) -> float:
        """What nginx manages in direct mode, of what it manages alone; medians."""
        return median(self.direct) / median(self.alone)


class HeldFigures(msgspec.Struct, frozen=True, kw_only=True):
    """Streams that are all open at the same time."""

    streams: int
    failed: int
    bytes_per_stream: float
    """Of the gateway's resident memory."""
    events: int
    first_token: Percentiles


class SoakFigures(msgspec.Struct, frozen=True, kw_only=True):
    seconds: float
    completed: int
    failed: int
    resident_mib: list[float]
    """Sampled evenly, the first after a warm-up."""


class GatewayReport(msgspec.Struct, frozen=True, kw_only=True):
    machine: Machine
    seconds: float
    """Of each phase."""
    subjects: list[SubjectFigures]
    direct: list[DirectFigures] = []
    held: HeldFigures | None = None
    soak: SoakFigures | None = None


def gateway_table(report: GatewayReport) -> list[tuple[str, ...]]:
    head = (
        "", "req/s", "req/s a core", "p50", "p99", "added p50", "added p99", "220 KB adds",
        "events/s a core", "at once", "failed",
    )  # fmt: skip
    alone = report.subjects[0]
    return [head, *(_row(one, alone) for one in report.subjects)]


def _row(one: SubjectFigures, alone: SubjectFigures) -> tuple[str, ...]:
    def added(value: float, base: float) -> str:
        return "" if one is alone else f"{value - base:.2f} ms"

    return (
        one.name,
        f"{one.requests_per_second:,.0f}",
        _count(one.requests_per_core),
        f"{one.half_load.p50:.2f} ms",
        f"{one.half_load.p99:.2f} ms",
        added(one.half_load.p50, alone.half_load.p50),
        added(one.half_load.p99, alone.half_load.p99),
        added(one.long_prompt.p50, alone.long_prompt.p50),
        _count(one.events_per_core),
        _count(one.burst_events_per_core),
        str(one.failed),
    )


def _count(value: float) -> str:
    return f"{value:,.0f}" if value else ""


def extra_lines(report: GatewayReport) -> Sequence[str]:
    lines = [
        f"answers of {one.tokens} tokens, events/s a core: nginx alone {median(one.alone):,.0f}, "
        f"in direct mode {median(one.direct):,.0f} ({100 * (one.share - 1):+.1f} %), "
        f"with the front {median(one.decided):,.0f}, {one.failed} failed"
        for one in report.direct
    ]
    if (held := report.held) is not None:
        lines.append(
            f"{held.streams:,} open streams: {held.failed} failed, "
            f"{held.bytes_per_stream / 1024:.1f} KiB each, {held.events:,} events, "
            f"first token p99 {held.first_token.p99:.0f} ms"
        )
    if (soak := report.soak) is not None:
        grown = soak.resident_mib[-1] - soak.resident_mib[0]
        lines.append(
            f"{soak.seconds:.0f} s of load: {soak.completed:,} answers, {soak.failed} failed, "
            f"{soak.resident_mib[0]:.1f} MiB at first and {grown:+.1f} MiB after"
        )
    return lines
