"""RMS norm, the twin of the kernel of that name."""

from __future__ import annotations

import numpy as np

from stoker.kernels.reference.arrays import Floats


def rms_norm(x: Floats, weight: Floats, eps: float, offset: float = 0.0) -> Floats:
    """x / sqrt(mean(x²) + eps) * (weight + offset) along the last axis (Zhang, Sennrich 2019)."""
    wide = x.astype(np.float64)
    mean = np.mean(wide * wide, axis=-1, keepdims=True)
    return (wide / np.sqrt(mean + eps) * (weight.astype(np.float64) + offset)).astype(np.float32)
