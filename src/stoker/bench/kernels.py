"""How close each kernel comes to what the machine can do: read bandwidth, integer and float peaks.

Limits, kernels and their NumPy twins are measured in turn, round by round. Kernels and limits are
timed inside the native core and read the same memory.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from functools import partial

import msgspec

from stoker.bench.kernel_cases import Case, Measured, Twin, all_cases
from stoker.bench.machine import last_level_cache_bytes, memory_bytes
from stoker.errors import ConfigError
from stoker.kernels import measure
from stoker.kernels.decoder import available_kernels

PROBES = ("read", "int8", "float")
LEAST_MEGABYTES = 128
"""Of memory, whatever is read of it: the largest matrix of all cases fits."""


class Limits(msgspec.Struct, frozen=True):
    threads: int
    read_gb: float
    """GB/s."""
    integer_gops: float
    """int8 products and sums."""
    float_gflops: float


class KernelFigure(msgspec.Struct, frozen=True, kw_only=True):
    kernel: str
    shape: str
    threads: int
    milliseconds: float
    """Median of the rounds, for everything the case covers."""
    twin_milliseconds: float
    """Median of the NumPy twin, scaled to the same work."""
    gb: float
    """GB/s; of what is read, or read and written where all stays in the caches."""
    gops: float
    share: float
    """Of the limit of as many threads that bounds this case: the largest of its shares."""
    bound: str
    """'read', 'int8' or 'float'."""


def default_megabytes() -> int:
    """Eight times the last-level cache: what it still holds of the last run hardly counts."""
    return max(256, 8 * last_level_cache_bytes() // 2**20)


def measure_kernels(
    kernels: str, threads: int, megabytes: int, rounds: int
) -> tuple[tuple[Limits, ...], tuple[KernelFigure, ...]]:
    """Limits of one thread and of `threads`, and a figure for every case.

    `megabytes` of weights or cache are read in one run: more than the last-level cache holds, or
    bandwidth is flattered. Raises ConfigError for kernels or sizes this machine cannot do.
    """
    if kernels != "auto" and kernels not in available_kernels():
        known = ", ".join(available_kernels())
        raise ConfigError(
            f"this machine cannot run the kernels '{kernels}'", hint=f"It can run: {known}."
        )
    size = max(megabytes, LEAST_MEGABYTES, 4 * threads)
    if size * 2**20 > memory_bytes() // 4:
        raise ConfigError(
            f"{size} MB are more than a quarter of this machine's memory",
            hint="Give a smaller --megabytes or fewer --threads.",
        )
    memory = measure.Memory(size)
    probes = _probes(kernels, threads, memory)
    cases = all_cases(kernels, threads, memory, megabytes)
    runs: dict[Callable[[], Measured], list[Measured]] = {}
    twins: dict[Twin, list[float]] = {}
    for _ in range(rounds):
        for run in (*probes.values(), *(case.run for case in cases)):
            runs.setdefault(run, []).append(run())
        for twin in dict.fromkeys(case.twin for case in cases):
            twins.setdefault(twin, []).append(_seconds_per_operation(twin))
    limits = {
        count: _limits(count, {name: runs[probes[count, name]] for name in PROBES})
        for count in sorted({1, threads})
    }
    figures = (
        _figure(case, runs[case.run], twins[case.twin], limits[case.threads]) for case in cases
    )
    return tuple(limits.values()), tuple(figures)


def _probes(
    kernels: str, threads: int, memory: measure.Memory
) -> dict[tuple[int, str], Callable[[], Measured]]:
    probes: dict[tuple[int, str], Callable[[], Measured]] = {}
    for count in {1, threads}:
        probes[count, "read"] = partial(measure.read_limit, kernels, count, memory)
        probes[count, "int8"] = partial(measure.dot_limit, kernels, count)
        probes[count, "float"] = partial(measure.fma_limit, kernels, count)
    return probes


def _limits(threads: int, seen: dict[str, list[Measured]]) -> Limits:
    """A limit is the best that was seen, where a figure is the median."""
    return Limits(
        threads=threads,
        read_gb=max(read / seconds for seconds, read, _ in seen["read"]) / 1e9,
        integer_gops=max(done / seconds for seconds, _, done in seen["int8"]) / 1e9,
        float_gflops=max(done / seconds for seconds, _, done in seen["float"]) / 1e9,
    )


def _seconds_per_operation(twin: Twin) -> float:
    started = time.perf_counter()
    twin.run()
    return (time.perf_counter() - started) / twin.operations


def _figure(case: Case, runs: list[Measured], twins: list[float], limits: Limits) -> KernelFigure:
    seconds = statistics.median(run[0] for run in runs)
    _, read, operations = runs[0]
    gb, gops = read / seconds / 1e9, operations / seconds / 1e9
    of_all = {
        "read": gb / limits.read_gb,
        "int8": gops / limits.integer_gops,
        "float": gops / limits.float_gflops,
    }
    shares = {name: of_all[name] for name in case.bounds}
    bound = max(shares, key=shares.__getitem__)
    return KernelFigure(
        kernel=case.kernel,
        shape=case.shape,
        threads=case.threads,
        milliseconds=seconds * 1e3,
        twin_milliseconds=statistics.median(twins) * operations * 1e3,
        gb=gb,
        gops=gops,
        share=shares[bound],
        bound=bound,
    )
