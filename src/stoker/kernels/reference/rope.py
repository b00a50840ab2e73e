"""Rotary position embedding (Su et al. 2021), in both orders of a head's elements."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from stoker.kernels.reference.arrays import Floats
from stoker.model.spec import RopeSpec, RopeStyle


def rope_angles(spec: RopeSpec, positions: Sequence[int]) -> tuple[Floats, Floats]:
    """Cosine and sine, each [len(positions), dim / 2], times the attention factor."""
    frequencies = np.array(spec.inverse_frequencies, dtype=np.float64)
    angles = np.outer(np.array(positions, dtype=np.float64), frequencies)
    cosine, sine = np.cos(angles) * spec.attention_factor, np.sin(angles) * spec.attention_factor
    return cosine.astype(np.float32), sine.astype(np.float32)


def rope(x: Floats, cosine: Floats, sine: Floats, style: RopeStyle) -> Floats:
    """Rotates the first `dim` elements of every head; the rest pass through.

    x is [positions, heads, head_dim]; cosine and sine are [positions, dim / 2].
    """
    half = cosine.shape[-1]
    first, second = _rotated_together(half, style)
    c, s = cosine[:, None, :], sine[:, None, :]
    out = x.copy()
    out[..., first] = x[..., first] * c - x[..., second] * s
    out[..., second] = x[..., second] * c + x[..., first] * s
    return out


def _rotated_together(half: int, style: RopeStyle) -> tuple[slice, slice]:
    if style is RopeStyle.HALVES:
        return slice(0, half), slice(half, 2 * half)
    return slice(0, 2 * half, 2), slice(1, 2 * half, 2)
