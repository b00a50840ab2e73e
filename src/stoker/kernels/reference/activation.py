"""The gate of a feed-forward layer, and soft caps."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from stoker.kernels.reference.arrays import Floats
from stoker.model.spec import Activation

Doubles = NDArray[np.float64]

SWIGLU_GAIN, SWIGLU_LIMIT = 1.702, 7.0
"""Of gpt-oss."""


def gated_activation(gate: Floats, up: Floats, activation: Activation) -> Floats:
    """activation(gate) * up (Shazeer 2020). Without a gate, `up` is one."""
    x = gate.astype(np.float64)
    if activation is Activation.CLAMPED_SWIGLU:
        return _clamped_swiglu(x, up).astype(np.float32)
    return (_SHAPES[activation](x) * up).astype(np.float32)


def softcap(x: Floats, cap: float) -> Floats:
    """cap * tanh(x / cap): close to x when small, never beyond the cap."""
    return (cap * np.tanh(x.astype(np.float64) / cap)).astype(np.float32)


def sigmoid(x: Doubles) -> Doubles:
    # e^x / (1 + e^x) written with a tanh, which cannot overflow.
    found: Doubles = 0.5 * (1.0 + np.tanh(0.5 * x))
    return found


def _silu(x: Doubles) -> Doubles:
    return x * sigmoid(x)


def _gelu_tanh(x: Doubles) -> Doubles:
    """Hendrycks and Gimpel 2016, the tanh form."""
    found: Doubles = 0.5 * x * (1.0 + np.tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * x**3)))
    return found


def _gelu(x: Doubles) -> Doubles:
    error_function = np.vectorize(math.erf, otypes=[np.float64])
    found: Doubles = 0.5 * x * (1.0 + error_function(x / math.sqrt(2.0)))
    return found


def _clamped_swiglu(gate: Doubles, up: Floats) -> Doubles:
    clamped = np.minimum(gate, SWIGLU_LIMIT)
    other = np.clip(up.astype(np.float64), -SWIGLU_LIMIT, SWIGLU_LIMIT)
    found: Doubles = clamped * sigmoid(SWIGLU_GAIN * clamped) * (other + 1.0)
    return found


_SHAPES: dict[Activation, Callable[[Doubles], Doubles]] = {
    Activation.SILU: _silu,
    Activation.GELU_TANH: _gelu_tanh,
    Activation.GELU: _gelu,
}
