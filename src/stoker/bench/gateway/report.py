"""What a gateway costs, beside other proxies in the same run."""

from __future__ import annotations

from collections.abc import Sequence

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
        f"{one.requests_per_core:,.0f}" if one.requests_per_core else "",
        f"{one.half_load.p50:.2f} ms",
        f"{one.half_load.p99:.2f} ms",
        added(one.half_load.p50, alone.half_load.p50),
        added(one.half_load.p99, alone.half_load.p99),
        added(one.long_prompt.p50, alone.long_prompt.p50),
        f"{one.events_per_core:,.0f}" if one.events_per_core else "",
        f"{one.burst_events_per_core:,.0f}" if one.burst_events_per_core else "",
        str(one.failed),
    )


def extra_lines(report: GatewayReport) -> Sequence[str]:
    lines = []
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
