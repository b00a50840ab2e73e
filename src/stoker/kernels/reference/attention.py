"""Attention, causal or not, over grouped key-value heads, contiguous or in pages."""

from __future__ import annotations

import numpy as np

from stoker.kernels.reference.activation import softcap
from stoker.kernels.reference.arrays import Floats, Ints


def attention(
    queries: Floats,
    keys: Floats,
    values: Floats,
    *,
    first_position: int,
    scale: float,
    window: int | None = None,
    cap: float | None = None,
    sinks: Floats | None = None,
    causal: bool = True,
) -> Floats:
    """Queries [n, heads, dim] at first_position.. over keys, values [context, kv_heads, dim].

    A query at position p sees keys at (p - window, p], or [0, p] without a window;
    where attention is not causal it sees all. Query heads
    share key-value heads in consecutive groups (Ainslie et al. 2023). `sinks` is a score for each
    head that takes its share of the softmax and adds no value. Returns [n, heads, dim].
    """
    shape = (len(queries), len(keys))
    hidden = ~visible(first_position, *shape, window) if causal else np.zeros(shape, dtype=bool)
    group = queries.shape[1] // keys.shape[1]
    out = np.empty_like(queries)
    for head in range(queries.shape[1]):
        scores = (queries[:, head] @ keys[:, head // group].T) * np.float32(scale)
        if cap is not None:
            scores = softcap(scores, cap)
        scores[hidden] = -np.inf
        if sinks is not None:
            sink = np.full((len(scores), 1), sinks[head], dtype=np.float32)
            scores = np.concatenate([scores, sink], axis=1)
        out[:, head] = softmax(scores)[:, : len(keys)] @ values[:, head // group]
    return out


def attention_paged(
    queries: Floats,
    key_pages: Floats,
    value_pages: Floats,
    block_table: Ints,
    *,
    first_position: int,
    scale: float,
    window: int | None = None,
    cap: float | None = None,
) -> Floats:
    """As `attention`, over pages in the order of the block table.

    key_pages are [blocks, kv_heads, dim, page] and value_pages [blocks, kv_heads, page, dim], the
    layouts of the native pool. Positions past the last query are not read.
    """
    context = first_position + len(queries)
    _, kv_heads, dim, _ = key_pages.shape
    keys = key_pages[block_table].transpose(0, 3, 1, 2).reshape(-1, kv_heads, dim)
    values = value_pages[block_table].transpose(0, 2, 1, 3).reshape(-1, kv_heads, dim)
    return attention(
        queries,
        keys[:context],
        values[:context],
        first_position=first_position,
        scale=scale,
        window=window,
        cap=cap,
    )


def visible(first_position: int, queries: int, context: int, window: int | None) -> np.ndarray:
    """Which keys each query may see, as booleans [queries, context]."""
    at = first_position + np.arange(queries)[:, None]
    key = np.arange(context)[None, :]
    seen = key <= at
    return seen if window is None else seen & (key > at - window)


def softmax(scores: Floats) -> Floats:
    """Along the last axis, in double. A row needs at least one score above minus infinity."""
    wide = scores.astype(np.float64)
    weights = np.exp(wide - wide.max(axis=-1, keepdims=True))
    shares: Floats = (weights / weights.sum(axis=-1, keepdims=True)).astype(np.float32)
    return shares
