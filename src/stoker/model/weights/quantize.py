"""Float32 to the block formats of GGUF, in plain NumPy: what `stoker quantize` and quantising
while loading use. The inverse of dequantize.py.

Q8_0, Q4_0 and Q4_1 round as their format's definition does. Q4_K searches, for each group of 32
values, the scale and minimum with the least weighted squared error.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from stoker.model.weights.dequantize import Blocks, Floats
from stoker.model.weights.interface import BLOCK, TensorType
from stoker.model.weights.quantize_k import q4_k

_SMALLEST = np.float32(1e-37)
SLICE_VALUES = 1 << 20
"""Values quantised at a time, so that temporaries stay small whatever the tensor's size."""


def quantize(values: Floats, kind: TensorType) -> bytes:
    """The bytes of a tensor whose last dimension fills whole blocks of `kind`.

    Values are finite. Raises KeyError for a type that is only read (Q5_K, Q6_K).
    """
    encode = _ENCODERS[kind]
    width = BLOCK[kind][0]
    blocks = np.ascontiguousarray(values, dtype=np.float32).reshape(-1, width)
    step = max(1, SLICE_VALUES // width)
    return b"".join(
        encode(blocks[start : start + step]).tobytes() for start in range(0, len(blocks), step)
    )


def _f32(values: Floats) -> Blocks:
    return values.view(np.uint8)


def _f16(values: Floats) -> Blocks:
    return values.astype(np.float16).view(np.uint8)


def _bf16(values: Floats) -> Blocks:
    """Rounds to the nearest, ties to even."""
    bits = values.view(np.uint32)
    rounded = (bits + (0x7FFF + ((bits >> 16) & 1))) >> 16
    return rounded.astype(np.uint16).view(np.uint8)


def _inverse(scale: Floats) -> Floats:
    """Zero for a scale whose inverse is not finite; as fp16 such a scale is zero itself."""
    return np.divide(1.0, scale, out=np.zeros_like(scale), where=np.abs(scale) > _SMALLEST)


def _halves(*columns: Floats) -> Blocks:
    return np.concatenate(columns, axis=1).astype(np.float16).view(np.uint8)


def _packed(quants: NDArray[np.uint8]) -> Blocks:
    """Two four-bit values a byte: the first half of a block low, the second half high."""
    half = quants.shape[1] // 2
    low: Blocks = quants[:, :half] & np.uint8(15)
    return low | quants[:, half:] * np.uint8(16)


def _fifth_bits(quants: NDArray[np.uint8]) -> Blocks:
    return np.packbits(quants >> 4, axis=1, bitorder="little")


def _largest(values: Floats) -> Floats:
    """The value of each block that is farthest from zero, with its sign, as a column."""
    return np.take_along_axis(values, np.abs(values).argmax(axis=1)[:, None], axis=1)


def _signed(values: Floats, half: int) -> tuple[Floats, NDArray[np.uint8]]:
    """Scale and quants of a format that is symmetric around `half`."""
    scale = _largest(values) / np.float32(-half)
    shifted = values.astype(np.float64) * _inverse(scale) + (half + 0.5)
    return scale, shifted.clip(0, 2 * half - 1).astype(np.uint8)


def _affine(values: Floats, most: int) -> tuple[Floats, Floats, NDArray[np.uint8]]:
    """Scale, minimum and quants of a format with a minimum."""
    minimum = values.min(axis=1, keepdims=True)
    scale = (values.max(axis=1, keepdims=True) - minimum) / np.float32(most)
    steps = (values - minimum) * _inverse(scale) + np.float32(0.5)
    return scale, minimum, steps.clip(0, most).astype(np.uint8)


def _q4_0(values: Floats) -> Blocks:
    scale, quants = _signed(values, 8)
    return np.concatenate([_halves(scale), _packed(quants)], axis=1)


def _q4_1(values: Floats) -> Blocks:
    scale, minimum, quants = _affine(values, 15)
    return np.concatenate([_halves(scale, minimum), _packed(quants)], axis=1)


def _q5_0(values: Floats) -> Blocks:
    scale, quants = _signed(values, 16)
    return np.concatenate([_halves(scale), _fifth_bits(quants), _packed(quants)], axis=1)


def _q5_1(values: Floats) -> Blocks:
    scale, minimum, quants = _affine(values, 31)
    return np.concatenate([_halves(scale, minimum), _fifth_bits(quants), _packed(quants)], axis=1)


def _q8_0(values: Floats) -> Blocks:
    scale = np.abs(values).max(axis=1, keepdims=True) / np.float32(127)
    scaled = values * _inverse(scale)
    away_from_zero = np.trunc(scaled + np.copysign(np.float32(0.5), scaled))
    return np.concatenate([_halves(scale), away_from_zero.astype(np.int8).view(np.uint8)], axis=1)


_ENCODERS: dict[TensorType, Callable[[Floats], Blocks]] = {
    TensorType.F32: _f32,
    TensorType.F16: _f16,
    TensorType.BF16: _bf16,
    TensorType.Q4_0: _q4_0,
    TensorType.Q4_1: _q4_1,
    TensorType.Q5_0: _q5_0,
    TensorType.Q5_1: _q5_1,
    TensorType.Q8_0: _q8_0,
    TensorType.Q4_K: q4_k,
}
