"""What a low-rank adapter adds to a product (Hu et al. 2021), in plain NumPy."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from stoker.kernels.reference.arrays import Floats
from stoker.model.adapter import Factor, LowRank
from stoker.model.weights.dequantize import dequantize


class FloatAdapter:
    def __init__(self, pairs: Iterable[LowRank] = ()) -> None:
        self._pairs = {
            pair.name: (np.float32(pair.scale), _floats(pair.a), _floats(pair.b)) for pair in pairs
        }

    def added(self, x: Floats, name: str, part: slice) -> Floats | float:
        """To x times some rows of the matrix `name`, transposed."""
        if name not in self._pairs:
            return 0.0
        scale, a, b = self._pairs[name]
        low: Floats = x @ a.T * scale
        return low @ b[part].T


def _floats(factor: Factor) -> Floats:
    return dequantize(factor.rows.tobytes(), factor.type, factor.shape)
