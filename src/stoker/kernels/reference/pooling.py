"""One vector out of a text's hidden states."""

from __future__ import annotations

import numpy as np

from stoker.core.pooling import Pooling
from stoker.kernels.reference.arrays import Floats
from stoker.kernels.reference.layers import ReferenceLayers


def pooled(layers: ReferenceLayers, states: Floats, pooling: Pooling) -> Floats:
    """`states` [tokens, hidden] are those after the final norm. Returns [hidden], or [labels]."""
    if pooling is Pooling.MEAN:
        mean: Floats = states.mean(axis=0, dtype=np.float64).astype(np.float32)
        return mean
    if pooling is Pooling.LABELS:
        return _labels(layers, states[:1])
    state: Floats = states[-1 if pooling is Pooling.LAST else 0]
    return state


def _labels(layers: ReferenceLayers, first: Floats) -> Floats:
    """classifier x tanh(pooler x state), as BERT has it."""
    hidden = np.tanh(layers.biased(first, "pooler", bias=True))
    found: Floats = layers.biased(hidden.astype(np.float32), "classifier", bias=True)[0]
    return found
