"""Which experts a token goes through, and with what weight: the twin of the kernel `route`."""

from __future__ import annotations

import numpy as np

from stoker.kernels.reference.arrays import Floats, Ints


def route(scores: Floats, used: int, *, normalised: bool) -> tuple[Ints, Floats]:
    """The `used` highest of each row of scores, best first, the lower number first among equals.

    Returns their numbers and weights, each [rows, used]. A weight is the expert's share in a
    softmax over the chosen ones if `normalised`, over all otherwise.
    """
    chosen = np.argsort(-scores, axis=-1, kind="stable")[:, :used].astype(np.int32)
    wide = scores.astype(np.float64)
    powers = np.exp(wide - wide.max(axis=-1, keepdims=True))
    own = np.take_along_axis(powers, chosen, axis=-1)
    total = own if normalised else powers
    return chosen, (own / total.sum(axis=-1, keepdims=True)).astype(np.float32)
