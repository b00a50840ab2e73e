"""Which tokens may be drawn in the constrained rows of a step."""

from __future__ import annotations

import time

import numpy as np
from numpy.typing import NDArray

from stoker.executor.batch import StepBatch
from stoker.scheduler.plan import StepPlan


class StepMasks:
    """Filled on a thread of its own while the forward pass of the step runs: sampling waits."""

    def __init__(self, plan: StepPlan, batch: StepBatch, vocab_size: int) -> None:
        self._plan = plan
        self.bits = np.zeros((batch.num_masks, -(-vocab_size // 32)), dtype=np.uint32)
        """A row a mask, a bit a token."""
        self.rows = np.array(batch.mask_rows, dtype=np.int32)
        """The mask of each logit row."""
        self.seconds = 0.0
        """What filling took."""

    def fill(self) -> None:
        started = time.perf_counter()
        rows = iter(self.bits)
        for piece in self._plan.slices:
            if piece.guide is not None and piece.samples:
                for mask in piece.guide.masks(piece.drafts):
                    _copy(mask, next(rows))
        self.seconds = time.perf_counter() - started


def _copy(mask: bytes, row: NDArray[np.uint32]) -> None:
    """A model may have more tokens than its vocabulary names, and those may never come."""
    words = np.frombuffer(mask, dtype=np.uint32)[: row.size]
    row[: words.size] = words
