"""How close each kernel comes to what the machine can do: read bandwidth, integer and float peaks.

Limits and kernels are measured in turn, round by round, inside the native core; each kernel's NumPy
twin is timed beside it.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import msgspec
import numpy as np

from stoker.errors import ConfigError
from stoker.kernels import measure
from stoker.kernels.decoder import available_kernels
from stoker.kernels.reference.activation import gated_activation
from stoker.kernels.reference.attention import attention
from stoker.kernels.reference.matmul import quantize_rows_int8, through_int8
from stoker.kernels.reference.norm import rms_norm
from stoker.model.spec import Activation

CODECS = ("U4", "U4M", "U5", "U5M", "U6", "U8", "F16", "BF16", "F32")
"""In the native core's order. U4M is what Q4_1 and Q4_K become, U5 Q5_0, U6 Q6_K, U8 Q8_0."""
FIRST_DENSE = CODECS.index("F16")
SHAPES = ((1536, 576), (576, 1536), (49152, 576), (4864, 896))
"""Outputs and inputs: SmolLM2 135M's gate, down and head, Qwen2.5 0.5B's gate."""
BATCHES = (1, 4, 32, 512)

Measured = tuple[float, float, float]
"""Seconds, bytes read, operations."""


class Limits(msgspec.Struct, frozen=True):
    read_gb: float
    """GB/s, all threads."""
    integer_gops: float
    """int8 products and sums."""
    float_gflops: float


class KernelFigure(msgspec.Struct, frozen=True, kw_only=True):
    kernel: str
    shape: str
    milliseconds: float
    """Median of the rounds, for everything the case covers."""
    gb: float
    """GB/s, 0 where nothing of weight is read."""
    gops: float
    share: float
    """Of the limit that bounds this shape: the larger of its shares of bandwidth and of compute."""
    bound: str
    """'read', 'int8' or 'float'."""
    twin_ratio: float
    """How many times longer the NumPy twin takes for the same work."""


@dataclass(frozen=True)
class Case:
    kernel: str
    shape: str
    limits: tuple[str, ...]
    """Which apply: 'read' unless everything stays in the caches, and 'int8' or 'float'."""
    run: Callable[[], Measured]
    twin: Callable[[], float]
    """Operations of one call of the twin."""


def measure_kernels(
    kernels: str, threads: int, megabytes: int, rounds: int
) -> tuple[Limits, tuple[KernelFigure, ...]]:
    """`megabytes` of weights or cache are read in one run: more than the last-level cache holds,
    or bandwidth is flattered. Raises ConfigError for kernels this machine cannot run."""
    if kernels != "auto" and kernels not in available_kernels():
        raise ConfigError(f"this machine cannot run the kernels '{kernels}'")
    probes: dict[str, Callable[[], Measured]] = {
        "read": lambda: measure.read_limit(kernels, threads, megabytes * 2),
        "int8": lambda: measure.dot_limit(kernels, threads),
        "float": lambda: measure.fma_limit(kernels, threads),
    }
    cases = list(_cases(kernels, threads, megabytes))
    seen: dict[str, list[Measured]] = {}
    for _ in range(rounds):
        for name, probe in probes.items():
            seen.setdefault(name, []).append(probe())
        for case in cases:
            seen.setdefault(f"{case.kernel} {case.shape}", []).append(case.run())
    # A limit is the best that was seen, a figure the median.
    limits = Limits(
        max(b / s for s, b, _ in seen["read"]) / 1e9,
        max(o / s for s, _, o in seen["int8"]) / 1e9,
        max(o / s for s, _, o in seen["float"]) / 1e9,
    )
    return limits, tuple(
        _figure(case, seen[f"{case.kernel} {case.shape}"], limits) for case in cases
    )


def _figure(case: Case, runs: list[Measured], limits: Limits) -> KernelFigure:
    seconds = statistics.median(run[0] for run in runs)
    _, read, operations = runs[0]
    gb, gops = read / seconds / 1e9, operations / seconds / 1e9
    all_shares = {
        "read": gb / limits.read_gb,
        "int8": gops / limits.integer_gops,
        "float": gops / limits.float_gflops,
    }
    shares = {name: all_shares[name] for name in case.limits}
    bound = max(shares, key=shares.__getitem__)
    started = time.perf_counter()
    of_twin = case.twin()
    per_operation = (time.perf_counter() - started) / of_twin
    return KernelFigure(
        kernel=case.kernel,
        shape=case.shape,
        milliseconds=seconds * 1e3,
        gb=gb,
        gops=gops,
        share=shares[bound],
        bound=bound,
        twin_ratio=per_operation / (seconds / operations),
    )


def _cases(kernels: str, threads: int, megabytes: int) -> Iterator[Case]:
    for rows, columns in SHAPES:
        for batch in BATCHES:
            yield _matmul(kernels, threads, megabytes, "U4M", rows, columns, batch)
    for codec in CODECS:
        if codec != "U4M":
            for batch in (1, 32):
                yield _matmul(kernels, threads, megabytes, codec, 4864, 896, batch)
    for heads, head_dim, context, positions in (
        (3, 64, 512, 1),
        (3, 64, 8192, 1),
        (7, 64, 8192, 1),
        (3, 64, 512, 8),
    ):
        yield _attention(kernels, threads, megabytes, heads, head_dim, context, positions)
    yield from _rowwise(kernels)


def _matmul(
    kernels: str, threads: int, megabytes: int, codec: str, rows: int, columns: int, batch: int
) -> Case:
    # Many rows are bound by compute: less memory does, and the run stays short.
    size = megabytes if batch <= 4 else max(1, megabytes // batch)
    x = np.random.default_rng(0).normal(size=(batch, columns)).astype(np.float32)
    weight = np.random.default_rng(1).normal(size=(rows, columns)).astype(np.float32)

    def twin() -> float:
        through_int8(x) @ weight.T
        return 2.0 * rows * columns * batch

    index = CODECS.index(codec)
    return Case(
        f"matmul {codec}",
        f"{columns} to {rows}, {batch} rows",
        ("read", "int8" if index < FIRST_DENSE else "float"),
        lambda: measure.matmul(kernels, threads, index, rows, columns, batch, size),
        twin,
    )


def _attention(
    kernels: str,
    threads: int,
    megabytes: int,
    heads: int,
    head_dim: int,
    context: int,
    positions: int,
) -> Case:
    generator = np.random.default_rng(0)
    queries = generator.normal(size=(positions, heads, head_dim)).astype(np.float32)
    keys, values = generator.normal(size=(2, context, 1, head_dim)).astype(np.float32)

    def twin() -> float:
        attention(queries, keys, values, first_position=context - positions, scale=0.125)
        return 4.0 * context * head_dim * heads * positions

    return Case(
        "attention",
        f"{context} tokens, {positions} x {heads} heads of {head_dim}",
        ("read", "float"),
        lambda: measure.attention(kernels, threads, heads, head_dim, context, positions, megabytes),
        twin,
    )


def _rowwise(kernels: str) -> Iterator[Case]:
    rows, columns = 256, 576
    x = np.random.default_rng(0).normal(size=(rows, columns)).astype(np.float32)
    ones = np.ones(columns, dtype=np.float32)

    def norm() -> float:
        rms_norm(x, ones, 1e-5)
        return 4.0 * x.size

    def quantize() -> float:
        quantize_rows_int8(x)
        return 4.0 * x.size

    def silu() -> float:
        gated_activation(x, x, Activation.SILU)
        return 20.0 * x.size

    for name, twin in (("rms_norm", norm), ("quantize_rows", quantize), ("silu_multiply", silu)):
        run = _rowwise_run(kernels, name, rows, columns)
        yield Case(name, f"{rows} rows of {columns}, one thread", ("float",), run, twin)


def _rowwise_run(kernels: str, name: str, rows: int, columns: int) -> Callable[[], Measured]:
    return lambda: measure.rowwise(kernels, name, rows, columns)
