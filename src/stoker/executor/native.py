"""The executor for CPUs: one call into the native core a step, with the GIL released."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stoker.core.adapter import AdapterSource
from stoker.core.ids import BlockId
from stoker.core.output import TokenLogprobs
from stoker.errors import ConfigError, NumericalError, UnsupportedConstraint
from stoker.executor.batch import StepBatch
from stoker.executor.interface import (
    MemoryPlan,
    SliceResult,
    StepHandle,
    StepResult,
    num_drawn,
)
from stoker.executor.masks import StepMasks
from stoker.executor.native_adapters import NativeAdapters, in_groups
from stoker.executor.pooled_batch import pool
from stoker.kernels.adapter import Adapter
from stoker.kernels.decoder import BLOCK_TOKENS, Decoder, Progress, load_decoder
from stoker.model.load import Model
from stoker.scheduler.plan import SequenceSlice, StepPlan


@dataclass(frozen=True, slots=True, kw_only=True)
class NativeOptions:
    threads: int
    kernels: str = "auto"
    kv_bytes: int
    """Memory for keys and values; rounded down to whole blocks."""
    max_context: int
    max_step_tokens: int = 2048
    max_step_sequences: int = 64


class NativeExecutor:
    """Depth 1: `submit` computes the step, `collect` hands out its result."""

    def __init__(
        self, model: Model, options: NativeOptions, progress: Progress | None = None
    ) -> None:
        self._model = model
        self._adapters = NativeAdapters(model.spec)
        self._options = options
        self._progress = progress
        self._decoder: Decoder | None = None
        self._memory: MemoryPlan | None = None
        self._results: dict[StepHandle, StepResult] = {}
        self._submitted = 0
        self._filler = ThreadPoolExecutor(1, thread_name_prefix="masks")

    @property
    def decoder(self) -> Decoder:
        if self._decoder is None:
            raise RuntimeError("load() has not been called")
        return self._decoder

    @property
    def memory(self) -> MemoryPlan:
        """What `load` returned."""
        if self._memory is None:
            raise RuntimeError("load() has not been called")
        return self._memory

    @property
    def model_path(self) -> Path:
        return self._model.path

    def load(self) -> MemoryPlan:
        options = self._options
        decoder = load_decoder(
            self._model.spec,
            self._model.weights,
            kernels=options.kernels,
            threads=options.threads,
            progress=self._progress,
        )
        num_blocks = options.kv_bytes // decoder.kv_bytes_per_block
        if num_blocks < 1:
            raise ConfigError(
                f"engine.kv_cache_mib: {options.kv_bytes >> 20} MiB does not hold one block of "
                f"{decoder.kv_bytes_per_block} bytes"
            )
        decoder.allocate_kv(num_blocks)
        self._decoder = decoder
        self._memory = MemoryPlan(
            num_blocks=num_blocks,
            block_size=BLOCK_TOKENS,
            max_context=min(options.max_context, self._model.spec.max_context),
            max_step_tokens=options.max_step_tokens,
            max_step_sequences=options.max_step_sequences,
            weight_bytes=decoder.weight_bytes,
            kv_bytes=num_blocks * decoder.kv_bytes_per_block,
            depth=1,
        )
        return self._memory

    def submit(self, plan: StepPlan) -> StepHandle:
        started = time.perf_counter()
        order = in_groups(plan.slices)
        ordered = [plan.slices[index] for index in order]
        drawing = StepPlan(tuple(piece for piece in ordered if piece.pooling is None))
        batch = StepBatch.of(drawing)
        masks = StepMasks(drawing, batch, self._model.spec.vocab_size)
        drawn = iter(self._draw(drawing, batch, masks))
        pooled = iter(self._pool([p for p in ordered if p.pooling is not None]))
        found = {i: next(drawn if plan.slices[i].pooling is None else pooled) for i in order}
        slices = tuple(found[index] for index in range(len(order)))
        self._submitted += 1
        handle = StepHandle(self._submitted)
        seconds = time.perf_counter() - started
        self._results[handle] = StepResult(slices, seconds, batch.num_masks, masks.seconds)
        return handle

    def _draw(self, plan: StepPlan, batch: StepBatch, masks: StepMasks) -> Iterable[SliceResult]:
        if not plan.slices:
            return ()
        outputs = self._compute(batch, masks, self._adapters.of(plan.slices))
        return _results(plan, batch, *(output.tolist() for output in outputs))

    def _pool(self, slices: list[SequenceSlice]) -> Iterable[SliceResult]:
        if not slices:
            return ()
        return pool(self.decoder, slices, self._model.spec, self._adapters.of(slices))

    def _compute(
        self, batch: StepBatch, masks: StepMasks, adapters: list[Adapter | None] | None
    ) -> _Outputs:
        if not batch.num_masks:
            return self.decoder.step(**batch.arguments(), adapters=adapters)
        filling = self._filler.submit(masks.fill)
        try:
            return self.decoder.step(
                **batch.arguments(),
                mask_rows=masks.rows,
                masks=masks.bits,
                before_sampling=filling.result,
                adapters=adapters,
            )
        finally:
            wait([filling])  # a step that raised leaves no one at work on its guides

    def collect(self, handle: StepHandle) -> StepResult:
        return self._results.pop(handle)

    def copy_blocks(self, pairs: list[tuple[BlockId, BlockId]]) -> None:
        for source, target in pairs:
            self.decoder.copy_block(source, target)

    def load_adapter(self, source: AdapterSource, most_bytes: int) -> None:
        self._adapters.load(self.decoder, source, most_bytes)

    def unload_adapter(self, key: str) -> None:
        self._adapters.unload(key)

    def release_kv(self) -> None:
        """The core has a pool of at least one block; it is not touched, so it takes no memory."""
        self.decoder.allocate_kv(1)

    def restore_kv(self) -> None:
        self.decoder.allocate_kv(self.memory.num_blocks)

    def forward_logits(
        self, tokens: list[int], adapter: Adapter | None = None
    ) -> NDArray[np.float32]:
        """Logits of every position of one sequence, using blocks from 0. For tests and perplexity;
        overwrites the KV pool."""
        pages = -(-len(tokens) // BLOCK_TOKENS)
        return self.decoder.forward_logits(
            np.array(tokens, dtype=np.int32),
            np.array([[0, len(tokens), 0]], dtype=np.int32),
            np.arange(pages, dtype=np.int32),
            [adapter],
        )

    def close(self) -> None:
        self._filler.shutdown()
        self._adapters.clear()
        self._decoder = None
        self._model.close()


_Outputs = tuple[NDArray[np.generic], ...]


def _blamed(piece: SequenceSlice) -> str:
    """Why there is no token: nothing was allowed, or a number was none."""
    failed = piece.guide is not None and piece.guide.failed
    return UnsupportedConstraint.code if failed else NumericalError.code


@dataclass(slots=True)
class _Row:
    token: int
    logprobs: TokenLogprobs
    finite: bool


def _rows(
    tokens: list[int],
    logprobs: list[float],
    ranks: list[int],
    finite: list[int],
    top_ids: list[list[int]],
    top_logprobs: list[list[float]],
) -> Iterator[_Row]:
    for i, token in enumerate(tokens):
        top = tuple(
            (other, value)
            for other, value in zip(top_ids[i], top_logprobs[i], strict=True)
            if other >= 0
        )
        yield _Row(token, TokenLogprobs(token, logprobs[i], ranks[i], top), bool(finite[i]))


def _results(plan: StepPlan, batch: StepBatch, *columns: list) -> tuple[SliceResult, ...]:  # type: ignore[type-arg]
    """Deals the logit rows, which are in plan order, out to their slices."""
    rows: list[list[_Row]] = [[] for _ in plan.slices]
    for owner, row in zip(batch.owners, _rows(*columns), strict=True):
        rows[owner].append(row)
    return tuple(_slice_result(piece, own) for piece, own in zip(plan.slices, rows, strict=True))


def _slice_result(piece: SequenceSlice, rows: list[_Row]) -> SliceResult:
    """A row behind a guess may be no number: it is not looked at unless the guess was right, and
    then it is computed again as the next step's own."""
    num_scored = len(rows) - (1 + len(piece.drafts)) * piece.samples
    if any(not row.finite for row in rows[: num_scored + 1]):
        return SliceResult(error_code=_blamed(piece))
    scored = tuple(row.logprobs for row in rows[:num_scored])
    if not piece.samples:
        return SliceResult(prompt_logprobs=scored)
    drawn = list(takewhile(lambda row: row.finite, rows[num_scored:]))
    taken = drawn[: num_drawn(piece.drafts, [row.token for row in drawn])]
    wanted = piece.sampling.logprobs is not None
    return SliceResult(
        tokens=tuple(row.token for row in taken),
        logprobs=tuple(row.logprobs for row in taken) if wanted else (),
        prompt_logprobs=scored,
    )
