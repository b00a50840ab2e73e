"""What `stoker bench kernels` runs: shapes of SmolLM2 135M and Qwen2.5 0.5B, each with its twin."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from stoker.core.sampling import SamplingParams
from stoker.kernels import measure
from stoker.kernels.reference.activation import gated_activation
from stoker.kernels.reference.arrays import Floats
from stoker.kernels.reference.attention import attention
from stoker.kernels.reference.matmul import quantize_rows_int8, through_int8
from stoker.kernels.reference.norm import rms_norm
from stoker.kernels.reference.rope import rope
from stoker.kernels.reference.sampler import sample_row
from stoker.model.spec import Activation, RopeStyle

CODECS = ("U4", "U4M", "U5", "U5M", "U6", "U8", "F16", "BF16", "F32")
"""In the native core's order. U4M is what Q4_1 and Q4_K become, U5 Q5_0, U6 Q6_K, U8 Q8_0."""
FIRST_DENSE = CODECS.index("F16")
SHAPES = ((1536, 576), (576, 1536), (49152, 576), (4864, 896))
"""Outputs and inputs: SmolLM2 135M's gate, down and head, Qwen2.5 0.5B's gate."""
BATCHES = (1, 4, 32, 512)
MANY_ROWS = 512
"""From here on products are bound by compute alone, and a sixteenth of the memory does."""
ATTENTION = ((3, 512, 1), (3, 8192, 1), (7, 8192, 1), (3, 512, 512))
"""Query heads of a KV head, tokens of context, positions computed: three decodes, one prefill."""
ROWS, COLUMNS, HEADS, KV_HEADS, HEAD_DIM, VOCABULARY = 256, 576, 9, 3, 64, 49152
SAMPLERS = (
    ("greedy", SamplingParams(temperature=0.0)),
    ("temperature 1", SamplingParams()),
    ("top_p 0.95", SamplingParams(top_p=0.95)),
    ("top_k 50", SamplingParams(top_k=50)),
)

Measured = tuple[float, float, float]
"""Seconds, bytes, operations."""


@dataclass(frozen=True, eq=False)
class Twin:
    run: Callable[[], object]
    operations: float
    """Of one run, counted as the kernel's are."""


@dataclass(frozen=True)
class Case:
    kernel: str
    shape: str
    threads: int
    bounds: tuple[str, ...]
    """The limits that apply: 'read' unless all stays in the caches, and 'int8' or 'float'."""
    run: Callable[[], Measured]
    twin: Twin


def all_cases(
    kernels: str, threads: int, memory: measure.Memory, megabytes: int
) -> tuple[Case, ...]:
    return (
        *_matmuls(kernels, threads, memory, megabytes),
        *_attentions(kernels, threads, memory, megabytes),
        *_rowwise(kernels),
        *_samplers(kernels, threads, megabytes),
    )


def _random(*shape: int) -> Floats:
    return np.random.default_rng(0).standard_normal(shape, dtype=np.float32)


def _matmuls(kernels: str, threads: int, memory: measure.Memory, megabytes: int) -> Iterator[Case]:
    twins = {shape: list(_matmul_twins(*shape)) for shape in SHAPES}
    for codec, name in enumerate(CODECS):
        for rows, columns in SHAPES:
            for batch, twin in zip(BATCHES, twins[rows, columns], strict=True):
                size = megabytes if batch < MANY_ROWS else max(1, megabytes // 16)
                yield Case(
                    f"matmul {name}",
                    f"{columns} to {rows}, {batch} rows",
                    threads,
                    ("read", "int8" if codec < FIRST_DENSE else "float"),
                    partial(
                        measure.matmul, kernels, threads, memory, codec, rows, columns, batch, size
                    ),
                    twin,
                )


def _matmul_twins(rows: int, columns: int) -> Iterator[Twin]:
    """The same for every codec: the twin multiplies the weights as floats."""
    weight = _random(rows, columns).T
    for batch in BATCHES:
        run = partial(_product, _random(batch, columns), weight)
        yield Twin(run, 2.0 * rows * columns * batch)


def _product(x: Floats, weight: Floats) -> Floats:
    return through_int8(x) @ weight


def _attentions(
    kernels: str, threads: int, memory: measure.Memory, megabytes: int
) -> Iterator[Case]:
    for heads, context, positions in ATTENTION:
        size = megabytes if positions == 1 else max(1, megabytes // 32)
        yield Case(
            "attention",
            f"{context} tokens, {positions} x {heads} heads of {HEAD_DIM}",
            threads,
            ("read", "float"),
            partial(
                measure.attention,
                kernels, threads, memory, heads, HEAD_DIM, context, positions, size,
            ),
            _attention_twin(heads, context, positions),
        )  # fmt: skip


def _attention_twin(heads: int, context: int, positions: int) -> Twin:
    queries = _random(positions, heads, HEAD_DIM)
    keys, values = _random(2, context, 1, HEAD_DIM)
    first = context - positions
    seen = positions * (first + (positions + 1) / 2)
    return Twin(
        lambda: attention(queries, keys, values, first_position=first, scale=0.125),
        4.0 * seen * HEAD_DIM * heads,
    )


def _rowwise(kernels: str) -> Iterator[Case]:
    x, ones = _random(ROWS, COLUMNS), np.ones(COLUMNS, dtype=np.float32)
    norm = Twin(lambda: rms_norm(x, ones, 1e-5), 4.0 * x.size)
    quantize = Twin(lambda: quantize_rows_int8(x), 4.0 * x.size)
    silu = Twin(lambda: gated_activation(x, x, Activation.SILU), 20.0 * x.size)
    shape = f"{ROWS} rows of {COLUMNS}"
    for name, run, twin in (
        ("rms_norm", measure.rms_norm, norm),
        ("quantize_rows", measure.quantize_rows, quantize),
        ("silu_multiply", measure.silu_multiply, silu),
    ):
        yield Case(name, shape, 1, ("float",), partial(run, kernels, ROWS, COLUMNS), twin)
    yield Case(
        "rope and KV write",
        f"{ROWS} rows of {HEADS} + {KV_HEADS} heads of {HEAD_DIM}",
        1,
        ("float",),
        partial(measure.rope_store, kernels, ROWS, HEADS, KV_HEADS, HEAD_DIM),
        _rope_twin(),
    )


def _rope_twin() -> Twin:
    heads = _random(ROWS, HEADS + KV_HEADS, HEAD_DIM)
    values = _random(ROWS, KV_HEADS, HEAD_DIM)
    cosine, sine = _random(2, ROWS, HEAD_DIM // 2)

    def run() -> None:
        rotated = rope(heads, cosine, sine, RopeStyle.HALVES)
        rotated[:, HEADS:].astype(np.float16)
        values.astype(np.float16)

    return Twin(run, 3.0 * heads.size)


def _samplers(kernels: str, threads: int, megabytes: int) -> Iterator[Case]:
    # Tokens about as likely as words are: the n-th in proportion to n^-1.5.
    logits = (-1.5 * np.log1p(-np.random.default_rng(0).random(VOCABULARY))).astype(np.float32)
    for name, sampling in SAMPLERS:
        yield Case(
            "sampler",
            f"{VOCABULARY} logits, {name}",
            threads,
            ("read",),
            partial(
                measure.sampler, kernels, threads, VOCABULARY,
                sampling.temperature, sampling.top_k, sampling.top_p, megabytes,
            ),
            Twin(partial(sample_row, logits, sampling, position=0), float(VOCABULARY)),
        )  # fmt: skip
