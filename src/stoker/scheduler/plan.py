"""What one step computes: the contract between the scheduler and every executor.

There is no prefill mode and no decode mode. A step gives each scheduled sequence a run of
consecutive tokens; whether these are prompt or output is not the executor's business.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stoker.core.adapter import BASE
from stoker.core.ids import BlockId, RequestId, TokenId
from stoker.core.pooling import Pooling
from stoker.core.sampling import SamplingParams
from stoker.scheduler.guide import Guide


@dataclass(frozen=True, slots=True)
class SequenceSlice:
    """One sequence's share of a step: compute `tokens[start:start + count]`.

    `tokens` is the whole sequence so far (prompt and output), read-only and valid until the step
    is collected; it may be the scheduler's own list. `block_table` covers positions
    `[0, start + count)`. All blocks before `start` hold computed keys and values.
    """

    request_id: RequestId
    tokens: Sequence[TokenId]
    start: int
    count: int
    block_table: Sequence[BlockId]
    num_prompt_tokens: int
    sampling: SamplingParams
    samples: bool
    """Whether the last computed token is the sequence's last, so the next one is to be drawn.
    A draw is keyed on (sampling.seed, position of the new token)."""
    score_from: int
    """Prompt log probabilities are wanted for target positions in `[score_from, start + count)`
    that lie in the prompt (the logits at position p - 1 score the token at p); targets whose
    logits fall in this slice are p with start <= p - 1 < start + count. `score_from` is past
    the end when none are wanted."""
    guide: Guide | None = None
    """Says which tokens may be drawn; None: every one."""
    drafts: tuple[TokenId, ...] = ()
    """Guesses of the tokens that will be drawn, computed behind the sequence's last; a token is
    drawn after each as well. `block_table` covers them. Only where `samples`."""

    pooling: Pooling | None = None
    """The result is not a token but a vector, pooled from the rows of this slice, which are then
    all of the sequence (for the last token's: its last ones). Only where `samples`."""
    adapter: str = BASE
    """Key of what is added to the model's products for these rows."""
    second_part: int | None = None
    """Where the second part of a pair of texts begins."""

    @property
    def num_rows(self) -> int:
        """Tokens computed, guesses included."""
        return self.count + len(self.drafts)

    @property
    def end(self) -> int:
        return self.start + self.count

    @property
    def scored_positions(self) -> range:
        """Target positions scored by this slice."""
        if self.sampling.prompt_logprobs is None:
            return range(0)
        first = max(self.score_from, self.start + 1)
        return range(first, min(self.end + 1, self.num_prompt_tokens))


@dataclass(frozen=True, slots=True)
class StepPlan:
    """Slices in a fixed order; results come back in the same order."""

    slices: tuple[SequenceSlice, ...]

    @property
    def num_tokens(self) -> int:
        return sum(piece.num_rows for piece in self.slices)
