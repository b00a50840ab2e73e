"""A model's tensors as float32 arrays, kept as long as they fit a budget."""

from __future__ import annotations

from stoker.kernels.reference.arrays import Floats
from stoker.model.weights.dequantize import dequantize
from stoker.model.weights.interface import TensorType, Weights

DENSE = frozenset({TensorType.F32, TensorType.F16, TensorType.BF16})


class FloatTensors:
    def __init__(self, weights: Weights, keep_bytes: int) -> None:
        self._weights = weights
        self._left = keep_bytes
        self._kept: dict[str, Floats] = {}

    def __getitem__(self, name: str) -> Floats:
        """Raises KeyError for a tensor the model does not have."""
        if name in self._kept:
            return self._kept[name]
        info = self._weights.info(name)
        tensor = dequantize(self._weights.read(name), info.type, info.shape)
        if tensor.nbytes <= self._left:
            self._left -= tensor.nbytes
            self._kept[name] = tensor
        return tensor

    def quantised(self, name: str) -> bool:
        return self._weights.info(name).type not in DENSE
