"""RMS norm, the twin of the kernel of that name."""

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
