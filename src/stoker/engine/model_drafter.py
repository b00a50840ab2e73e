"""A smaller model of the same vocabulary that guesses what the large one will say.

It keeps its keys and values in blocks of its own under the numbers of the large model's, so it
needs no allocator. What it finds there may be wrong, as after a preemption; then its guesses are
wrong too, and nothing else happens.
"""

from __future__ import annotations

from array import array
from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from msgspec.structs import replace

from stoker.core.ids import BlockId, RequestId, TokenId
from stoker.executor.interface import Executor
from stoker.scheduler.plan import SequenceSlice, StepPlan
from stoker.scheduler.speculation import Drafter, Wish

KNOWN = 256
"""Sequences it remembers how far it has come with."""
AT_ONCE = 8
"""Tokens it computes together with a first guess: after right guesses it lacks one or two."""
CATCHING_UP = 64
"""Tokens of a prompt it computes in a step, so that streams hardly wait for it."""
WORTH_CATCHING_UP = 8
"""Prompt tokens for each token that may still come: a long prompt for a short answer is not."""
TRIED = 8
"""Guesses before it is known what one takes; the middle of the latest counts, because the machine
may have been busy with something else during any of them."""
UNTRIED_STEPS = 1000
"""Without a guess, after which it is found out again: guesses that did not pay then may now."""


@dataclass(slots=True)
class Progress:
    """How far the small model is with a sequence."""

    tokens: array[int]
    """That it has computed, guesses included."""
    blocks: list[BlockId]

    def common(self, wish: Wish) -> int:
        """How many of them still stand, in the blocks they were written to."""
        if self.blocks != list(wish.block_table[: len(self.blocks)]):
            return 0
        most = min(len(self.tokens), len(wish.tokens) - 1)
        own, theirs = self.tokens[:most], array("i", wish.tokens[:most])
        if own == theirs:
            return most
        return next(i for i, pair in enumerate(zip(own, theirs, strict=True)) if pair[0] != pair[1])


class ModelDrafter(Drafter):
    def __init__(self, executor: Executor) -> None:
        """`executor` is loaded, with at least as many blocks as the large model's."""
        self._executor = executor
        self._progress: OrderedDict[RequestId, Progress] = OrderedDict()
        self._seconds: deque[float] = deque(maxlen=2 * TRIED)
        """What each of the latest guesses took."""
        self._untried = 0

    @property
    def seconds_per_token(self) -> float:
        return median(self._seconds) if len(self._seconds) >= TRIED else 0.0

    def propose(self, wishes: Sequence[Wish]) -> list[tuple[TokenId, ...]]:
        self._untried = 0 if wishes else self._untried + 1
        if self._untried > UNTRIED_STEPS:
            self._seconds.clear()
        drafts = [_Draft(wish, self._done(wish)) for wish in wishes]
        self._catch_up([draft for draft in drafts if draft.worth_catching_up])
        guessing = [draft for draft in drafts if draft.ready]
        while guessing:
            self._compute(guessing)
            guessing = [draft for draft in guessing if draft.goes_on]
        for draft in drafts:
            self._remember(draft)
        return [draft.guess for draft in drafts]

    def _done(self, wish: Wish) -> int:
        known = self._progress.get(wish.request_id)
        return 0 if known is None else known.common(wish)

    def _remember(self, draft: _Draft) -> None:
        request_id = draft.wish.request_id
        self._progress[request_id] = Progress(
            draft.tokens[: draft.done], list(draft.wish.block_table)
        )
        self._progress.move_to_end(request_id)
        while len(self._progress) > KNOWN:
            self._progress.popitem(last=False)

    def _catch_up(self, drafts: Sequence[_Draft]) -> None:
        left = CATCHING_UP
        slices = []
        for draft in drafts:
            count = min(left, draft.missing - 1)
            if count > 0:
                slices.append(draft.slice(count))
                draft.done += count
                left -= count
        if slices:
            self._executor.collect(self._executor.submit(StepPlan(tuple(slices))))

    def _compute(self, drafts: Sequence[_Draft]) -> None:
        """One more guess for each."""
        plan = StepPlan(tuple(draft.slice(draft.missing) for draft in drafts))
        result = self._executor.collect(self._executor.submit(plan))
        for draft, outcome in zip(drafts, result.slices, strict=True):
            draft.take(outcome.tokens)
        self._seconds.append(result.seconds / len(drafts))

    def sleep(self) -> None:
        self._progress.clear()
        self._executor.release_kv()

    def wake(self) -> None:
        self._executor.restore_kv()

    def close(self) -> None:
        self._executor.close()


class _Draft:
    """One wish being fulfilled."""

    def __init__(self, wish: Wish, done: int) -> None:
        self.wish = wish
        self.done = done
        """Tokens that the small model has computed."""
        self.tokens = array("i", wish.tokens)
        """Those of the sequence, and the guesses."""
        self.failed = False

    @property
    def missing(self) -> int:
        return len(self.tokens) - self.done

    @property
    def worth_catching_up(self) -> bool:
        return AT_ONCE < self.missing <= WORTH_CATCHING_UP * self.wish.left

    @property
    def guess(self) -> tuple[TokenId, ...]:
        return tuple(self.tokens[len(self.wish.tokens) :])

    @property
    def ready(self) -> bool:
        return self.missing <= AT_ONCE

    @property
    def goes_on(self) -> bool:
        return not self.failed and len(self.guess) < self.wish.count

    def slice(self, count: int) -> SequenceSlice:
        end = self.done + count
        return SequenceSlice(
            request_id=self.wish.request_id,
            tokens=self.tokens,
            start=self.done,
            count=count,
            block_table=self.wish.block_table,
            num_prompt_tokens=self.wish.num_prompt_tokens,
            sampling=replace(self.wish.sampling, logprobs=None, prompt_logprobs=None),
            samples=end == len(self.tokens),
            score_from=end + 1,
        )

    def take(self, drawn: Sequence[TokenId]) -> None:
        """With the sequence's own seed: where both models are of one mind, the draws agree."""
        self.done = len(self.tokens)
        self.tokens.extend(drawn)
        self.failed = not drawn
