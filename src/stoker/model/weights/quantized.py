"""Weights that are quantised as they are read, one tensor at a time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from stoker.errors import ModelFileError
from stoker.model.weights.dequantize import dequantize
from stoker.model.weights.interface import BLOCK, TensorInfo, TensorType, Weights
from stoker.model.weights.quantize import quantize

FORMATS = {
    "f32": TensorType.F32,
    "f16": TensorType.F16,
    "q8_0": TensorType.Q8_0,
    "q5_1": TensorType.Q5_1,
    "q4_0": TensorType.Q4_0,
    "q4_1": TensorType.Q4_1,
    "q4_k": TensorType.Q4_K,
}
"""What weights can be turned into, by the name users give it."""

_LOOKED_UP = ("embedding", "head", "positions")
_LOOKED_UP_GGUF = ("token_embd.weight", "output.weight", "position_embd.weight")
"""Matrices with one row a token: errors there hit rare tokens whole, so they stay at 8 bits."""
_KEPT = ("router", "ffn_gate_inp.weight", "bias")
"""How names end of what is small and decides much: which experts a token goes through."""


class QuantizedWeights:
    """`weights` with its matrices in format `kind`, where that makes them smaller.

    Vectors become F32. A matrix whose rows do not fill blocks of `kind` takes the nearest format
    that fits. Closing it closes `weights`.
    """

    def __init__(self, weights: Weights, kind: TensorType) -> None:
        self._weights = weights
        self._kind = kind

    @property
    def shrinks(self) -> bool:
        """Whether any tensor becomes smaller by it."""
        infos = (self._weights.info(name) for name in self.names())
        return any(stored_type(i, self._kind) is not i.type for i in infos if len(i.shape) > 1)

    def names(self) -> Iterator[str]:
        return self._weights.names()

    def info(self, name: str) -> TensorInfo:
        info = self._weights.info(name)
        return TensorInfo(name, stored_type(info, self._kind), info.shape)

    def read(self, name: str) -> bytes | bytearray | memoryview:
        """Also raises ModelFileError for a value that is not a finite number."""
        data, info = self._weights.read(name), self._weights.info(name)
        kind = stored_type(info, self._kind)
        if kind is info.type:
            return data
        values = dequantize(data, info.type, info.shape)
        with np.errstate(over="ignore"):
            fits = np.isfinite(values if kind is TensorType.F32 else values.astype(np.float16))
        if not fits.all():
            raise ModelFileError(name, f"holds a value that {kind.name} cannot")
        return quantize(values, kind)

    def close(self) -> None:
        self._weights.close()


def stored_type(info: TensorInfo, kind: TensorType) -> TensorType:
    """The format a tensor gets when the user asks for `kind`."""
    if len(info.shape) == 1:
        return TensorType.F32
    if info.name.endswith(_KEPT):
        return info.type
    looked_up = info.name in _LOOKED_UP + _LOOKED_UP_GGUF
    if looked_up and kind not in (TensorType.F32, TensorType.F16):
        kind = TensorType.Q8_0
    if kind is TensorType.Q4_K and info.columns % BLOCK[kind][0]:
        kind = TensorType.Q4_1
    if info.columns % BLOCK[kind][0]:
        kind = TensorType.F16
    return kind if _bits(kind) < _bits(info.type) else info.type


def _bits(kind: TensorType) -> float:
    values, size = BLOCK[kind]
    return 8 * size / values
