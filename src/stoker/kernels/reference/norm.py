"""RMS and layer norm, the twins of the kernels of those names."""

from __future__ import annotations

import numpy as np

from stoker.kernels.reference.arrays import Floats


def rms_norm(x: Floats, weight: Floats, eps: float, offset: float = 0.0) -> Floats:
    """x / sqrt(mean(x²) + eps) * (weight + offset) along the last axis (Zhang, Sennrich 2019).

    The mean is taken in double and the two products in float, in this order: what follows is
    often rounded to int8, where the order decides ties.
    """
    wide = x.astype(np.float64)
    mean = np.mean(wide * wide, axis=-1, keepdims=True)
    factor: Floats = (1.0 / np.sqrt(mean + eps)).astype(np.float32)
    return x * factor * (weight + np.float32(offset))


def layer_norm(x: Floats, weight: Floats, bias: Floats, eps: float) -> Floats:
    """(x - mean) / sqrt(variance + eps) * weight + bias along the last axis (Ba et al. 2016)."""
    wide = x.astype(np.float64)
    centred = wide - wide.mean(axis=-1, keepdims=True)
    variance = np.mean(centred * centred, axis=-1, keepdims=True)
    found: Floats = (centred / np.sqrt(variance + eps) * weight + bias).astype(np.float32)
    return found
