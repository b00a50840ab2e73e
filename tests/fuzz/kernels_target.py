"""The bindings of single kernels: any arguments give a result, a ValueError or a TypeError."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import numpy as np

from stoker.kernels import _native
from stoker.kernels.decoder import available_kernels
from stoker.model.weights.interface import BLOCK, TensorType
from tests.fuzz.byte_source import ByteSource

LONGEST = 256
KERNELS = (*available_kernels(), "auto")
TYPES = tuple(TensorType)


def run(data: bytes) -> None:
    source = ByteSource(data)
    call = source.pick(CALLS)
    with contextlib.suppress(ValueError, TypeError):
        call(source, source.pick(KERNELS))


def _tensor(source: ByteSource) -> tuple[int, int, int, np.ndarray]:
    """Type, rows, columns, and about as many bytes as they need."""
    kind = source.pick(TYPES)
    values, size = BLOCK[kind]
    rows, blocks = source.integer(1, 40), source.integer(1, 3)
    surplus = source.pick((-1, 1)) if source.rarely() else 0
    raw = source.octets(max(rows * blocks * size + surplus, 0))
    claimed = source.size((int(kind),)), source.size((rows,)), source.size((blocks * values,))
    return *claimed, raw


def _width(source: ByteSource) -> int:
    return source.integer(0, 100) if source.rarely() else source.integer(1, 4) * 32


def unpack(source: ByteSource, kernels: str) -> None:
    _native.unpack(kernels, *_tensor(source))


def matmul(source: ByteSource, kernels: str) -> None:
    kind, rows, columns, raw = _tensor(source)
    width = columns if 0 < columns <= 1024 and not source.rarely() else source.integer(0, 100)
    x = source.floats(source.integer(0, 70), width)
    _native.matmul(kernels, kind, rows, columns, raw, x)


def quantize_rows(source: ByteSource, kernels: str) -> None:
    _native.quantize_rows(kernels, source.floats(source.integer(0, 5), _width(source)))


def elementwise(source: ByteSource, kernels: str) -> None:
    x, y = source.floats(_width(source)), source.floats(_width(source))
    match source.integer(0, 3):
        case 0:
            _native.rms_norm(kernels, x, y, source.number(1e-5))
        case 1:
            _native.gated(kernels, source.pick(("silu", "gelu_tanh", "none")), x, y)
        case 2:
            _native.softcap(kernels, x, source.number(30.0))
        case _:
            z = source.floats(_width(source))
            _native.rope(kernels, source.pick(("halves", "pairs", "thirds")), x, y, z)


def attention(source: ByteSource, kernels: str) -> None:
    context = source.integer(1, 600)
    positions = source.integer(0, min(context, 40))
    heads, dim = source.integer(0, 5), source.pick((0, 1, 16, 48, 64))
    queries = source.floats(positions, heads, dim)
    keys, values = source.floats(context, dim), source.floats(context, dim)
    pages = -(-context // 16)
    table = source.ids(pages + (source.rarely()), pages)
    first = source.size((context - positions, 0))
    window, cap = source.size((0, 1, 17, 300)), source.number(20.0)
    _native.attention(kernels, queries, keys, values, table, first, window, cap)


CALLS: tuple[Callable[[ByteSource, str], None], ...] = (
    unpack, matmul, quantize_rows, elementwise, attention,
)  # fmt: skip


def seeds() -> list[bytes]:
    pairs = ((call, kernels) for call in range(len(CALLS)) for kernels in range(3))
    return [bytes([*pair, *range(60)]) for pair in pairs]
