"""Prompts that have to be computed in one step: all of a model that is not causal, and those whose
vector is made of more than their last token. Pure.

Nothing of them is cached or taken from the cache: no other prompt could use it, or they need what
the cache does not keep.
"""

from __future__ import annotations

from collections.abc import Iterable

from stoker.core.pooling import Pooling
from stoker.core.request import Request
from stoker.scheduler.options import SchedulerOptions
from stoker.scheduler.plan import SequenceSlice
from stoker.scheduler.sequence import Sequence


class WholePrompts:
    def __init__(self, options: SchedulerOptions) -> None:
        self._options = options

    def among(self, request: Request) -> bool:
        return self._options.whole_prompts or request.pooling not in (None, Pooling.LAST)

    def longest(self, request: Request, otherwise: int) -> int:
        """Tokens it may have: no more than always find room in one step, beside sequences that get
        a token each."""
        if not self.among(request):
            return otherwise
        beside = 0 if self._options.whole_prompts else self._options.max_running
        return min(otherwise, max(self._options.max_step_tokens - beside, 1))

    def count(self, sequence: Sequence, left: int) -> int:
        """How many of its tokens a step takes that has `left` for prompts and where it `fits`."""
        missing = sequence.num_missing
        return missing if self.among(sequence.request) else min(missing, left)

    def fits(self, sequence: Sequence, left: int, slices: Iterable[SequenceSlice]) -> bool:
        """Within what is left for prompts; or, where the step has no other prompt yet, within what
        a step can hold: else streams that never pause would keep it waiting for ever."""
        if not self.among(sequence.request) or sequence.num_missing <= left:
            return True
        rows = [(piece.num_rows, piece.samples and piece.count == 1) for piece in slices]
        room = self._options.max_step_tokens - sum(number for number, _ in rows)
        return sequence.num_missing <= room and all(decodes for _, decodes in rows)
