"""Slices whose results are vectors, as the flat arrays of the native pooling step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from stoker.core.pooling import Pooling
from stoker.errors import NumericalError
from stoker.executor.interface import SliceResult
from stoker.kernels.adapter import Adapter
from stoker.kernels.decoder import Decoder
from stoker.model.spec import DecoderSpec
from stoker.scheduler.plan import SequenceSlice

_CODES = {None: 0, Pooling.FIRST: 1, Pooling.LAST: 2, Pooling.MEAN: 3, Pooling.LABELS: 4}
"""As the native core numbers them; 0 leaves a slice without a result."""
NO_SECOND_PART = -1


def pool(
    decoder: Decoder,
    slices: Sequence[SequenceSlice],
    spec: DecoderSpec,
    adapters: list[Adapter | None] | None,
) -> list[SliceResult]:
    """Parallel to `slices`; those that end before their sequence does have no vector yet."""
    rows = decoder.pool_step(**_arguments(slices), adapters=adapters)
    finite = [bool(np.isfinite(row).all()) for row in rows]
    results = []
    for piece, row, good in zip(slices, rows, finite, strict=True):
        if not good:
            results.append(SliceResult(error_code=NumericalError.code))
        elif not piece.samples:
            results.append(SliceResult())
        else:
            width = spec.labels if piece.pooling is Pooling.LABELS else spec.hidden_size
            results.append(SliceResult(pooled=row[:width].astype("<f4").tobytes()))
    return results


def _arguments(slices: Sequence[SequenceSlice]) -> dict[str, Any]:
    tokens: list[int] = []
    runs: list[tuple[int, int, int]] = []
    tables: list[int] = []
    for piece in slices:
        runs.append((piece.start, piece.count, len(tables)))
        tokens += piece.tokens[piece.start : piece.end]
        tables += piece.block_table
    seconds = [NO_SECOND_PART if p.second_part is None else p.second_part for p in slices]
    poolings = [_CODES[piece.pooling if piece.samples else None] for piece in slices]
    return {
        "tokens": np.array(tokens, dtype=np.int32),
        "runs": np.array(runs, dtype=np.int32),
        "block_tables": np.array(tables, dtype=np.int32),
        "second_parts": np.array(seconds, dtype=np.int32),
        "poolings": np.array(poolings, dtype=np.int32),
    }
