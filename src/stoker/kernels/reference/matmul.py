"""Products with quantised weights: activations in int8, a scale for every 32 of them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stoker.kernels.reference.arrays import Floats, Ints

GROUP = 32
"""Activations that share a scale; every quantised format's blocks are multiples of it."""

LEAST = np.float32(1e-36)


class QuantizedRows(NamedTuple):
    """Rows as the quantised kernels read them."""

    quants: NDArray[np.int8]
    """[rows, columns]"""
    scales: Floats
    """[rows, columns / 32]"""
    sums: Ints
    """[rows, columns / 32]: sums of the quants, for formats whose weights have a minimum."""

    def dequantize(self) -> Floats:
        grouped = self.quants.reshape(*self.scales.shape, GROUP).astype(np.float32)
        return (grouped * self.scales[..., None]).reshape(self.quants.shape)


def quantize_rows_int8(x: Floats) -> QuantizedRows:
    """scale = max|x| / 127 over each group; q = x * (127 / max|x|), rounded half to even, and 0
    where max|x| is too small to have an inverse."""
    groups = x.reshape(len(x), -1, GROUP)
    most = np.abs(groups).max(axis=-1)
    inverse = np.divide(np.float32(127.0), most, out=np.zeros_like(most), where=most > LEAST)
    quants = np.rint(groups * inverse[..., None]).astype(np.int8)
    scales = most / np.float32(127.0)
    return QuantizedRows(quants.reshape(x.shape), scales, quants.sum(axis=-1, dtype=np.int32))


def through_int8(x: Floats) -> Floats:
    """What of x survives its quantisation: the rounding of the int8 kernels, on floats."""
    return quantize_rows_int8(x).dequantize()
