"""Q4_K: 256 values share two fp16 scales; each group of 32 has a six-bit scale and minimum."""

from __future__ import annotations

import numpy as np

from stoker.model.weights.dequantize import Blocks, Floats

CANDIDATES = np.linspace(-1.0, 1.0, 9, dtype=np.float32)
"""Levels added to or taken from the 15 that a group's range is first divided into."""
_TINY = np.float32(1e-30)


def q4_k(values: Floats) -> Blocks:
    """[blocks][256] → [blocks][144]."""
    groups = values.reshape(-1, 8, 32)
    scales, minimums = _fit(groups)
    scale, scale_bits = _six_bits(scales)
    minimum, minimum_bits = _six_bits(minimums)
    step = scale * scale_bits
    base = minimum * minimum_bits
    inverse = np.divide(1.0, step, out=np.zeros_like(step), where=step != 0)
    quants = np.rint((groups + base[:, :, None]) * inverse[:, :, None]).clip(0, 15)
    halves = np.concatenate([scale, minimum], axis=1).astype(np.float16).view(np.uint8)
    six = _pack_six(scale_bits.astype(np.uint8), minimum_bits.astype(np.uint8))
    return np.concatenate([halves, six, _pack_nibbles(quants.astype(np.uint8))], axis=1)


def _fit(groups: Floats) -> tuple[Floats, Floats]:
    """Scale and (positive) minimum of each group: value ≈ scale · q - minimum, q in 0..15.

    For a few ways to place the 16 levels, solves the weighted least squares for scale and minimum
    and keeps the best. Large values weigh more: an error there moves a dot product more.
    """
    low = np.minimum(groups.min(axis=2), 0)
    span = np.maximum(groups.max(axis=2) - low, _TINY)
    weights = np.abs(groups) + np.sqrt(np.mean(groups**2, axis=2, keepdims=True))
    best_scale, best_minimum = span / 15, -low
    best_error = np.full(span.shape, np.inf, dtype=np.float32)
    for extra in CANDIDATES:
        levels = np.rint((groups - low[:, :, None]) * ((15 + extra) / span)[:, :, None])
        levels = levels.clip(0, 15)
        scale, minimum = _least_squares(groups, levels, weights)
        residual = scale[:, :, None] * levels - minimum[:, :, None] - groups
        error = np.einsum("bgi,bgi,bgi->bg", weights, residual, residual)
        better = error < best_error
        best_error = np.where(better, error, best_error)
        best_scale = np.where(better, scale, best_scale)
        best_minimum = np.where(better, minimum, best_minimum)
    return best_scale, best_minimum


def _least_squares(groups: Floats, levels: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """Never a negative minimum: the format has no bits for it."""
    weighted = weights * levels
    w = weights.sum(axis=2)
    wl = weighted.sum(axis=2)
    wll = np.einsum("bgi,bgi->bg", weighted, levels)
    wx = np.einsum("bgi,bgi->bg", weights, groups)
    wlx = np.einsum("bgi,bgi->bg", weighted, groups)
    determinant = w * wll - wl * wl
    solvable = determinant > 0
    divisor = np.where(solvable, determinant, 1)
    scale = np.where(solvable, (w * wlx - wl * wx) / divisor, 0)
    minimum = (wl * wlx - wll * wx) / divisor
    minimum = np.where(solvable, minimum, -wx / w.clip(_TINY))
    through_zero = np.maximum(wlx, 0) / np.maximum(wll, _TINY)
    positive = minimum > 0
    return np.where(positive, scale, through_zero).clip(0), np.where(positive, minimum, 0)


def _six_bits(values: Floats) -> tuple[Floats, Floats]:
    """The fp16 step of each block, as a column, and the values in whole steps of it."""
    step = (values.max(axis=1, keepdims=True) / 63).astype(np.float16).astype(np.float32)
    inverse = np.divide(1.0, step, out=np.zeros_like(step), where=step != 0)
    return step, np.rint(values * inverse).clip(0, 63)


def _pack_six(scales: Blocks, minimums: Blocks) -> Blocks:
    """Eight scales and eight minimums of six bits in twelve bytes."""
    first = (scales[:, :4] & 63) | ((scales[:, 4:] >> 4) << 6)
    second = (minimums[:, :4] & 63) | ((minimums[:, 4:] >> 4) << 6)
    third = (scales[:, 4:] & 15) | ((minimums[:, 4:] & 15) << 4)
    return np.concatenate([first, second, third], axis=1)


def _pack_nibbles(quants: Blocks) -> Blocks:
    """Groups two by two: the even one in the low nibbles of a run of 32 bytes."""
    pairs = quants.reshape(len(quants), 4, 2, 32)
    packed: Blocks = pairs[:, :, 0] | pairs[:, :, 1] * np.uint8(16)
    return packed.reshape(len(quants), 128)
