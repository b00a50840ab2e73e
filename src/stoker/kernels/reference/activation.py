"""The gate of a feed-forward layer, and soft caps."""

from __future__ import annotations

import math

import numpy as np

from stoker.kernels.reference.arrays import Floats
from stoker.model.spec import Activation


def gated_activation(gate: Floats, up: Floats, activation: Activation) -> Floats:
    """activation(gate) * up (Shazeer 2020)."""
    x = gate.astype(np.float64)
    shaped = _silu(x) if activation is Activation.SILU else _gelu_tanh(x)
    return (shaped * up).astype(np.float32)


def softcap(x: Floats, cap: float) -> Floats:
    """cap * tanh(x / cap): close to x when small, never beyond the cap."""
    return (cap * np.tanh(x.astype(np.float64) / cap)).astype(np.float32)


def _silu(x: np.ndarray) -> np.ndarray:
    # e^x / (1 + e^x) written with a tanh, which cannot overflow.
    return x * 0.5 * (1.0 + np.tanh(0.5 * x))


def _gelu_tanh(x: np.ndarray) -> np.ndarray:
    """Hendrycks and Gimpel 2016, the tanh form."""
    return 0.5 * x * (1.0 + np.tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * x**3)))
