"""Block formats of GGUF in plain NumPy: bytes to float32, by the format's definition."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from stoker.model.weights.interface import BLOCK, TensorType

Floats = NDArray[np.float32]
Blocks = NDArray[np.uint8]
"""[blocks][bytes of a block]"""


def dequantize(
    data: bytes | bytearray | memoryview, kind: TensorType, shape: tuple[int, ...]
) -> Floats:
    """The tensor as float32. `data` is exactly as long as the type and shape say."""
    _values, size = BLOCK[kind]
    blocks = np.frombuffer(data, dtype=np.uint8).reshape(-1, size)
    return _DECODERS[kind](blocks).astype(np.float32, copy=False).reshape(shape)


def _half(blocks: Blocks, at: int) -> Floats:
    """The fp16 at byte `at` of each block, as a column."""
    return np.ascontiguousarray(blocks[:, at : at + 2]).view(np.float16).astype(np.float32)


def _nibbles(packed: Blocks) -> NDArray[np.uint8]:
    """Low nibbles of all bytes, then high nibbles."""
    return np.concatenate([packed & 15, packed >> 4], axis=1)


def _fifth_bits(blocks: Blocks, at: int) -> NDArray[np.uint8]:
    return np.unpackbits(blocks[:, at : at + 4], axis=1, bitorder="little") * np.uint8(16)


def _f32(blocks: Blocks) -> Floats:
    return np.ascontiguousarray(blocks).view(np.float32)


def _f16(blocks: Blocks) -> Floats:
    return _half(blocks, 0)


def _bf16(blocks: Blocks) -> Floats:
    wide = np.ascontiguousarray(blocks).view(np.uint16).astype(np.uint32) << 16
    return wide.view(np.float32)


def _q4_0(blocks: Blocks) -> Floats:
    return _half(blocks, 0) * (_nibbles(blocks[:, 2:]).astype(np.float32) - 8)


def _q4_1(blocks: Blocks) -> Floats:
    return _half(blocks, 0) * _nibbles(blocks[:, 4:]) + _half(blocks, 2)


def _q5_0(blocks: Blocks) -> Floats:
    quants = _nibbles(blocks[:, 6:]) | _fifth_bits(blocks, 2)
    return _half(blocks, 0) * (quants.astype(np.float32) - 16)


def _q5_1(blocks: Blocks) -> Floats:
    quants = _nibbles(blocks[:, 8:]) | _fifth_bits(blocks, 4)
    return _half(blocks, 0) * quants + _half(blocks, 2)


def _q8_0(blocks: Blocks) -> Floats:
    return _half(blocks, 0) * blocks[:, 2:].view(np.int8)


def _six_bit_pairs(packed: Blocks) -> tuple[Floats, Floats]:
    """Eight scales and eight minimums of six bits from twelve bytes."""
    low, middle, high = packed[:, 0:4], packed[:, 4:8], packed[:, 8:12]
    scales = np.concatenate([low & 63, (high & 15) | ((low >> 6) << 4)], axis=1)
    minimums = np.concatenate([middle & 63, (high >> 4) | ((middle >> 6) << 4)], axis=1)
    return scales.astype(np.float32), minimums.astype(np.float32)


def _k_affine(blocks: Blocks, quants: NDArray[np.uint8]) -> Floats:
    """quants [blocks][8][32] with the scales and minimums of a Q4_K or Q5_K block."""
    scales, minimums = _six_bit_pairs(blocks[:, 4:16])
    scale = _half(blocks, 0) * scales
    minimum = _half(blocks, 2) * minimums
    return scale[:, :, None] * quants - minimum[:, :, None]


def _k_nibbles(packed: Blocks) -> NDArray[np.uint8]:
    """[blocks][8][32]: each run of 32 bytes holds two groups, low nibbles first."""
    runs = packed.reshape(len(packed), 4, 32)
    return np.stack([runs & 15, runs >> 4], axis=2).reshape(len(packed), 8, 32)


def _q4_k(blocks: Blocks) -> Floats:
    return _k_affine(blocks, _k_nibbles(blocks[:, 16:]))


def _q5_k(blocks: Blocks) -> Floats:
    bits: Blocks = blocks[:, None, 16:48] >> np.arange(8, dtype=np.uint8)[None, :, None]
    quants: Blocks = _k_nibbles(blocks[:, 48:]) | (bits & np.uint8(1)) * np.uint8(16)
    return _k_affine(blocks, quants)


def _q6_k(blocks: Blocks) -> Floats:
    low = blocks[:, :128].reshape(-1, 2, 2, 32)
    nibbles = np.stack([low & 15, low >> 4], axis=2).reshape(-1, 2, 4, 32)
    shifts = np.array([0, 2, 4, 6], dtype=np.uint8)[None, None, :, None]
    high = (blocks[:, 128:192].reshape(-1, 2, 1, 32) >> shifts) & 3
    quants = (nibbles | (high << 4)).reshape(-1, 16, 16).astype(np.float32) - 32
    scales = blocks[:, 192:208].view(np.int8).astype(np.float32)
    values: Floats = _half(blocks, 208)[:, :, None] * scales[:, :, None] * quants
    return values


_DECODERS: dict[TensorType, Callable[[Blocks], Floats]] = {
    TensorType.F32: _f32,
    TensorType.F16: _f16,
    TensorType.BF16: _bf16,
    TensorType.Q4_0: _q4_0,
    TensorType.Q4_1: _q4_1,
    TensorType.Q5_0: _q5_0,
    TensorType.Q5_1: _q5_1,
    TensorType.Q8_0: _q8_0,
    TensorType.Q4_K: _q4_k,
    TensorType.Q5_K: _q5_k,
    TensorType.Q6_K: _q6_k,
}
