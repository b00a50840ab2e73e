"""The five calls an executor answers. One implementation per kind of device.

An executor computes steps; it knows nothing of requests, queues or text. It is driven by one
thread. `submit` may return before the work is done; `collect` waits for it. At most `depth`
plans are in flight, and they are collected in the order they were submitted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import NewType, Protocol

from stoker.core.adapter import AdapterSource
from stoker.core.ids import BlockId, TokenId
from stoker.core.output import TokenLogprobs
from stoker.scheduler.plan import StepPlan

StepHandle = NewType("StepHandle", int)


@dataclass(frozen=True, slots=True)
class MemoryPlan:
    """What loading took, and the KV pool the executor offers to the scheduler."""

    num_blocks: int
    block_size: int
    """Tokens in a block."""
    max_context: int
    """Longest sequence, in tokens, the model supports."""
    max_step_tokens: int
    """Most tokens one step may compute."""
    max_step_sequences: int
    weight_bytes: int
    kv_bytes: int
    depth: int
    """Plans that may be in flight: 1 on a CPU, 2 where launching runs ahead."""


@dataclass(frozen=True, slots=True)
class SliceResult:
    """Outcome of one slice."""

    tokens: tuple[TokenId, ...] = ()
    """What was drawn: the next token, and as long as a draw equals the guess at its place, the one
    after it. Guesses so decide how much a step gives, and never what: the draw at a position is
    the same whether its sequence was guessed or computed one by one. This is speculative sampling
    (arXiv:2211.17192) with the target's own draws as the coupling."""
    logprobs: tuple[TokenLogprobs, ...] = ()
    """Parallel to `tokens` when the sampling parameters asked for them."""
    prompt_logprobs: tuple[TokenLogprobs, ...] = ()
    pooled: bytes = b""
    """Of a slice with `pooling` that reaches the end of its sequence: little-endian float32."""
    error_code: str | None = None
    """Code of an error that ends this sequence alone, e.g. 'numerical_error'."""


def num_drawn(drafts: Sequence[TokenId], drawn: Sequence[TokenId]) -> int:
    """How many of the tokens drawn at the last token and at each guess count: the first, and those
    that follow right guesses."""
    right = takewhile(lambda pair: pair[0] == pair[1], zip(drafts, drawn, strict=False))
    return 1 + sum(1 for _ in right)


@dataclass(frozen=True, slots=True)
class StepResult:
    """Parallel to the plan's slices."""

    slices: tuple[SliceResult, ...]
    seconds: float
    """Time the device spent; what the scheduler's cost model learns from."""
    num_masks: int = 0
    """Rows whose token was drawn under a constraint."""
    mask_seconds: float = 0.0
    """What finding their masks took, most of it while the device worked."""


class Executor(Protocol):
    def load(self) -> MemoryPlan:
        """Loads the weights and allocates the KV pool. Called once, before anything else."""
        ...

    def submit(self, plan: StepPlan) -> StepHandle: ...

    def collect(self, handle: StepHandle) -> StepResult: ...

    def copy_blocks(self, pairs: list[tuple[BlockId, BlockId]]) -> None:
        """Copies source to destination blocks. Runs after every plan already submitted."""
        ...

    def load_adapter(self, source: AdapterSource, most_bytes: int) -> None:
        """From now on slices may name it. Raises ConfigError for files of more than `most_bytes`,
        or that changed or do not fit, ModelFileError for a defect."""
        ...

    def unload_adapter(self, key: str) -> None:
        """No slice names it any more."""
        ...

    def release_kv(self) -> None:
        """Gives back the memory of keys and values and of steps, and keeps the weights. No step
        before `restore_kv`."""
        ...

    def restore_kv(self) -> None:
        """All blocks are there again; what they hold means nothing. Raises MemoryError."""
        ...

    def close(self) -> None:
        """Gives everything back. Safe to call twice."""
        ...
