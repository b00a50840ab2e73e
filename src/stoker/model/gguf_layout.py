"""A folder's weights arranged as GGUF files of the same family have them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from stoker.model.spec import DecoderSpec
from stoker.model.weights.dequantize import dequantize
from stoker.model.weights.interface import TensorInfo, TensorType, Weights

ROPE_FREQUENCIES = "rope_freqs"
_PERMUTED = {"q": "num_heads", "k": "num_kv_heads", "q_bias": "num_heads", "k_bias": "num_kv_heads"}


class GgufLayout:
    """Rows of q and k reordered where the family rotates pairs instead of halves; norm weights with
    their offset added; Llama 3's frequency factors as a tensor of their own.
    """

    def __init__(
        self, weights: Weights, spec: DecoderSpec, *, pairs: bool, factors: list[float]
    ) -> None:
        self._weights = weights
        self._spec = spec
        self._pairs = pairs
        self._factors = np.array(factors, dtype=np.float32)

    def names(self) -> Iterator[str]:
        yield from self._weights.names()
        if len(self._factors):
            yield ROPE_FREQUENCIES

    def info(self, name: str) -> TensorInfo:
        if name == ROPE_FREQUENCIES:
            return TensorInfo(name, TensorType.F32, self._factors.shape)
        info = self._weights.info(name)
        return TensorInfo(name, TensorType.F32, info.shape) if self._offset(name) else info

    def read(self, name: str) -> bytes | bytearray | memoryview:
        if name == ROPE_FREQUENCIES:
            return self._factors.tobytes()
        data, info = self._weights.read(name), self._weights.info(name)
        if self._offset(name):
            shifted = dequantize(data, info.type, info.shape) + np.float32(self._spec.norm_offset)
            return shifted.tobytes()
        heads = _PERMUTED.get(name.rpartition(".")[2])
        if self._pairs and heads is not None:
            return _paired(data, getattr(self._spec, heads), self._spec.head_dim)
        return data

    def close(self) -> None:
        self._weights.close()

    def _offset(self, name: str) -> bool:
        return bool(self._spec.norm_offset) and name.endswith("norm")


def _paired(data: bytes | bytearray | memoryview, heads: int, head_dim: int) -> bytes:
    """Row i of a head's first half beside row i of its second half."""
    rows = np.frombuffer(data, dtype=np.uint8).reshape(heads, 2, head_dim // 2, -1)
    return rows.swapaxes(1, 2).tobytes()
