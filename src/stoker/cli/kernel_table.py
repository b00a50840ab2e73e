"""The figures of `stoker bench kernels` as a table."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.table import Table

from stoker.bench.kernels import KernelFigure, Limits
from stoker.bench.report import KernelReport

COLUMNS = ("ms", "GB/s", "GOP/s", "of limit", "bound by", "threads", "twin ms", "twin takes")
PIPE_WIDTH = 140
"""Into a file or a pipe there is no terminal to fit."""


def print_kernels(report: KernelReport) -> None:
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = PIPE_WIDTH
    for limits in report.limits:
        console.print(f"{report.kernels}, {_limits(limits)}")
    console.print(_table(report.figures))


def _limits(limits: Limits) -> str:
    threads = "1 thread" if limits.threads == 1 else f"{limits.threads} threads"
    return (
        f"{threads}: reads {limits.read_gb:.1f} GB/s, {limits.integer_gops:.0f} GOP/s in int8, "
        f"{limits.float_gflops:.0f} GFLOP/s"
    )


def _table(figures: tuple[KernelFigure, ...]) -> Table:
    table = Table("kernel", "shape", box=box.SIMPLE_HEAD)
    for name in COLUMNS:
        table.add_column(name, justify="right")
    for figure, following in zip(figures, (*figures[1:], None), strict=True):
        table.add_row(
            figure.kernel,
            figure.shape,
            f"{figure.milliseconds:.2f}",
            f"{figure.gb:.1f}",
            f"{figure.gops:.1f}",
            f"[bold]{figure.share:.0%}[/]",
            figure.bound,
            str(figure.threads),
            f"{figure.twin_milliseconds:.1f}",
            f"{figure.twin_milliseconds / figure.milliseconds:.1f} x",
            end_section=following is None or following.kernel != figure.kernel,
        )
    return table
