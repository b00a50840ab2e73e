"""A step plan as the flat arrays the native step takes. Built once a step, read-only after."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stoker.core.sampling import SamplingParams
from stoker.scheduler.plan import SequenceSlice, StepPlan

NO_LOGPROBS = -1
DRAW = -1
"""Target of a row whose token is to be drawn."""
NO_MASK = -1
"""Every token is allowed."""


@dataclass(slots=True)
class StepBatch:
    """Rows are tokens, in plan order. `owners` says which slice each logit row belongs to."""

    tokens: array[int] = field(default_factory=lambda: array("i"))
    runs: array[int] = field(default_factory=lambda: array("i"))
    block_tables: array[int] = field(default_factory=lambda: array("i"))
    rows: array[int] = field(default_factory=lambda: array("i"))
    parameters: array[float] = field(default_factory=lambda: array("f"))
    seeds: array[int] = field(default_factory=lambda: array("Q"))
    positions: array[int] = field(default_factory=lambda: array("q"))
    history: array[int] = field(default_factory=lambda: array("i"))
    history_offsets: array[int] = field(default_factory=lambda: array("i", [0]))
    bias_ids: array[int] = field(default_factory=lambda: array("i"))
    bias_values: array[float] = field(default_factory=lambda: array("f"))
    bias_offsets: array[int] = field(default_factory=lambda: array("i", [0]))
    mask_rows: array[int] = field(default_factory=lambda: array("i"))
    num_masks: int = 0
    width: int = 0
    owners: list[int] = field(default_factory=list)

    @classmethod
    def of(cls, plan: StepPlan) -> StepBatch:
        batch = cls()
        for index, piece in enumerate(plan.slices):
            batch._add(index, piece)
        return batch

    def _add(self, index: int, piece: SequenceSlice) -> None:
        first_row = len(self.tokens)
        self.runs.extend((piece.start, piece.num_rows, len(self.block_tables)))
        if piece.count == 1:
            self.tokens.append(piece.tokens[piece.start])
        else:
            self.tokens.extend(piece.tokens[piece.start : piece.end])
        self.tokens.extend(piece.drafts)
        self.block_tables.extend(piece.block_table)
        for position in piece.scored_positions:
            row = first_row + position - 1 - piece.start
            self._score(index, row, piece, piece.tokens[position])
        if piece.samples:
            for guessed in range(len(piece.drafts) + 1):
                self._sample(index, first_row + piece.count - 1 + guessed, piece, guessed)

    def _score(self, index: int, row: int, piece: SequenceSlice, target: int) -> None:
        wanted = piece.sampling.prompt_logprobs
        wanted = NO_LOGPROBS if wanted is None else wanted
        self._logit_row(index, row, piece, wanted, target, piece.end)
        self.mask_rows.append(NO_MASK)
        self.history_offsets.append(len(self.history))
        self.bias_offsets.append(len(self.bias_ids))

    def _sample(self, index: int, row: int, piece: SequenceSlice, guessed: int) -> None:
        params = piece.sampling
        wanted = NO_LOGPROBS if params.logprobs is None else params.logprobs
        self._logit_row(index, row, piece, wanted, DRAW, piece.end + guessed)
        if params.needs_history:
            self.history.extend(piece.tokens[: piece.end])
            self.history.extend(piece.drafts[:guessed])
        self.history_offsets.append(len(self.history))
        for token, value in params.logit_bias.items():
            self.bias_ids.append(token)
            self.bias_values.append(value)
        self.bias_offsets.append(len(self.bias_ids))
        self.mask_rows.append(NO_MASK if piece.guide is None else self.num_masks)
        self.num_masks += piece.guide is not None

    def _logit_row(
        self,
        index: int,
        row: int,
        piece: SequenceSlice,
        num_logprobs: int,
        target: int,
        position: int,
    ) -> None:
        params = piece.sampling
        self.owners.append(index)
        self.rows.extend((row, params.top_k, piece.num_prompt_tokens, num_logprobs, target))
        self.parameters.extend(_parameters(params))
        self.seeds.append(params.seed)
        self.positions.append(position)
        self.width = max(self.width, num_logprobs)

    def arguments(self) -> dict[str, Any]:
        """The native step's arguments by name. Arrays share this batch's memory."""
        count = len(self.owners)
        return {
            "tokens": _view(self.tokens, np.int32),
            "runs": _view(self.runs, np.int32).reshape(-1, 3),
            "block_tables": _view(self.block_tables, np.int32),
            "rows": _view(self.rows, np.int32).reshape(count, 5),
            "parameters": _view(self.parameters, np.float32).reshape(count, 6),
            "seeds": _view(self.seeds, np.uint64),
            "positions": _view(self.positions, np.int64),
            "history": _view(self.history, np.int32),
            "history_offsets": _view(self.history_offsets, np.int32),
            "bias_ids": _view(self.bias_ids, np.int32),
            "bias_values": _view(self.bias_values, np.float32),
            "bias_offsets": _view(self.bias_offsets, np.int32),
            "width": self.width,
        }


def _parameters(params: SamplingParams) -> tuple[float, ...]:
    return (
        params.temperature,
        params.top_p,
        params.min_p,
        params.repetition_penalty,
        params.presence_penalty,
        params.frequency_penalty,
    )


def _view(values: array[int] | array[float], kind: type[np.generic]) -> NDArray[np.generic]:
    return np.frombuffer(values, dtype=kind) if values else np.empty(0, dtype=kind)
