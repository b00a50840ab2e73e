"""A measurement as JSON for machines and as an aligned table for people."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from stoker.bench.engine import EngineFigure
from stoker.bench.kernels import KernelFigure, Limits
from stoker.bench.machine import Machine
from stoker.bench.timing import LoadSummary
from stoker.errors import ConfigError


class EngineReport(msgspec.Struct, frozen=True, kw_only=True):
    machine: Machine
    model: str
    kernels: str
    threads: int
    figures: tuple[EngineFigure, ...]


class KernelReport(msgspec.Struct, frozen=True, kw_only=True):
    machine: Machine
    kernels: str
    threads: int
    rounds: int
    megabytes: int
    """Of weights or cache read in one run."""
    limits: tuple[Limits, ...]
    """Of one thread and of all."""
    figures: tuple[KernelFigure, ...]


class ServeWorkload(msgspec.Struct, frozen=True, kw_only=True):
    num_requests: int
    input_tokens: int
    output_tokens: int
    shared_tokens: int
    stream: bool


class ServeReport(msgspec.Struct, frozen=True, kw_only=True):
    machine: Machine
    """Where the load generator ran; the server too unless a URL was given."""
    model: str
    url: str | None
    """None when the bench started its own server."""
    workload: ServeWorkload
    runs: tuple[LoadSummary, ...]


def write_json(report: msgspec.Struct, target: str) -> None:
    """To the file `target`, or to standard output when it is '-'. Raises ConfigError."""
    text = msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n"
    if target == "-":
        sys.stdout.buffer.write(text)
        return
    try:
        Path(target).write_bytes(text)
    except OSError as error:
        raise ConfigError(f"cannot write {target}: {error.strerror}") from None


def engine_table(report: EngineReport) -> list[str]:
    head = ("batch", "prompt", "output", "prefill tok/s", "decode tok/s", "overall tok/s")
    rows = [
        (
            str(figure.batch),
            str(figure.prompt_tokens),
            str(figure.output_tokens),
            f"{figure.prefill_tokens_per_second:.1f}",
            f"{figure.decode_tokens_per_second:.1f}",
            f"{figure.overall_tokens_per_second:.1f}",
        )
        for figure in report.figures
    ]
    return aligned([head, *rows])


def serve_table(report: ServeReport) -> list[str]:
    head = ("clients", "done", "failed", "tok/s", "req/s", "TTFT p50", "p99", "ITL p50", "p99")
    rows = [
        (
            str(run.concurrency),
            str(run.completed),
            str(run.failed),
            f"{run.output_tokens_per_second:.1f}",
            f"{run.requests_per_second:.2f}",
            f"{run.first_token_ms.p50:.1f} ms",
            f"{run.first_token_ms.p99:.1f} ms",
            f"{run.inter_token_ms.p50:.1f} ms",
            f"{run.inter_token_ms.p99:.1f} ms",
        )
        for run in report.runs
    ]
    return aligned([head, *rows])


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        for row in rows
    ]
