"""Who runs this step, with how many tokens, in which blocks.

Running sequences come first, oldest first; then waiting ones are admitted. When blocks run out the
youngest running sequence is preempted and recomputed later. The oldest is never preempted and
always fits alone, so some request always makes progress (invariants I05, I06).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from stoker.core.ids import BlockId, RequestId, TokenId
from stoker.core.output import Finish, FinishReason, TokenDelta
from stoker.core.request import Request
from stoker.core.validation import refuse_too_long
from stoker.errors import InternalError, Overloaded
from stoker.executor.interface import SliceResult, StepResult
from stoker.kv.block_hash import Hash, Scope
from stoker.kv.block_pool import BlockPool
from stoker.kv.cache_listener import CacheListener
from stoker.kv.prefix_cache import PrefixCache
from stoker.scheduler.counters import Counters
from stoker.scheduler.fairness import FairQueue
from stoker.scheduler.guide import Guide
from stoker.scheduler.options import SchedulerOptions
from stoker.scheduler.plan import SequenceSlice, StepPlan
from stoker.scheduler.sequence import Sequence, SequenceState
from stoker.scheduler.speculation import Wish
from stoker.scheduler.token_budget import TokenBudget
from stoker.scheduler.whole_prompts import WholePrompts


class Scheduler:
    def __init__(
        self, options: SchedulerOptions, hash_block: Hash, listener: CacheListener | None = None
    ) -> None:
        self.options = options
        self.counters = Counters()
        self.cache = PrefixCache(options.block_size, hash_block, listener)
        self.pool = BlockPool(options.num_blocks, self.cache.forget)
        self.budget = TokenBudget(options.max_step_tokens, options.inter_token_target)
        self.running: list[Sequence] = []
        self._queue = FairQueue()
        self._whole = WholePrompts(options)
        self._sequences: dict[RequestId, Sequence] = {}
        self._cancelled: list[Sequence] = []
        self._arrivals = 0
        self._earliest = math.inf
        """No deadline is before this one."""

    # --- requests ---------------------------------------------------------------------------

    @property
    def longest_possible(self) -> int:
        """Tokens of the longest sequence that can ever be served."""
        return min(self.options.max_context, self.options.num_blocks * self.options.block_size)

    @property
    def num_waiting(self) -> int:
        return len(self._queue)

    @property
    def waiting_tokens(self) -> int:
        return self._queue.num_tokens

    @property
    def idle(self) -> bool:
        return not self._sequences

    def add(self, request: Request, now: float, guide: Guide | None = None) -> None:
        """Accepts a request; from here on it gets exactly one ending. `guide` stands behind its
        output tokens.

        Raises ContextLengthExceeded when it can never fit, Overloaded when too many wait.
        """
        self._refuse_too_long(request)
        if len(self._sequences) >= self.options.max_running + self.options.max_waiting:
            raise Overloaded(f"{len(self._queue)} requests are waiting already", retry_after=1.0)
        self.restore(request, now, guide)

    def restore(self, request: Request, now: float, guide: Guide | None = None) -> None:
        """As `add`, for a request accepted before (by an engine that died): never Overloaded."""
        if request.request_id in self._sequences:
            raise InternalError("two requests have the same id")
        self._refuse_too_long(request)
        stops = frozenset(request.sampling.stop_token_ids)
        if guide is not None or not request.sampling.ignore_eos:
            stops |= self.options.eos_token_ids
        chain = self.cache.chain(Scope(request.tenant, request.adapter))
        sequence = Sequence(request, self._arrivals, now, chain, stops, guide)
        self._arrivals += 1
        self._earliest = min(self._earliest, sequence.deadline)
        self._sequences[request.request_id] = sequence
        self._queue.add(sequence)

    def _refuse_too_long(self, request: Request) -> None:
        refuse_too_long(request, self._whole.longest(request, self.longest_possible))

    def cancel(self, request_id: RequestId) -> None:
        """Marks a request; its ending comes from the next `sweep`. Unknown ids are ignored."""
        sequence = self._sequences.get(request_id)
        if sequence is not None:
            self._cancelled.append(sequence)

    def sweep(self, now: float) -> list[TokenDelta]:
        """Ends what was cancelled and what is past its deadline. Call before `plan`."""
        cancelled, self._cancelled = self._cancelled, []
        deltas = self._end_all(cancelled, FinishReason.CANCELLED)
        if now >= self._earliest:
            late = [s for s in self._sequences.values() if now >= s.deadline]
            deltas += self._end_all(late, FinishReason.DEADLINE)
            self._earliest = min((s.deadline for s in self._sequences.values()), default=math.inf)
        return deltas

    def _end_all(self, sequences: Iterable[Sequence], reason: FinishReason) -> list[TokenDelta]:
        return [
            self._finish(sequence, Finish(reason))
            for sequence in sequences
            if sequence.state is not SequenceState.FINISHED
        ]

    # --- planning ---------------------------------------------------------------------------

    def wishes(self, seconds_per_draft: float = 0.0) -> list[Wish]:
        """Where guesses would pay, at the price of making one. Call between `sweep` and `plan`.
        None while prompts are waiting or being computed: these fill a step without guessing."""
        if len(self._queue) or not all(sequence.decoding for sequence in self.running):
            return []
        share, row = self.budget.decoding_seconds([len(one.tokens) for one in self.running])
        row += seconds_per_draft
        if row >= share:
            return []
        wished = [(one, one.num_drafts(share, row)) for one in self.running]
        return [one.wish(count) for one, count in wished if count and self._has_room(one, count)]

    def _has_room(self, sequence: Sequence, count: int) -> bool:
        """Gives it blocks for guesses, out of those that nobody will need soon."""
        needed = self._blocks_for(len(sequence.tokens) + count) - len(sequence.blocks)
        if needed + len(self.running) > self.pool.num_free:
            return False
        sequence.blocks += self.pool.allocate(max(needed, 0))
        return True

    def plan(
        self, now: float, drafts: Mapping[RequestId, tuple[TokenId, ...]] = MappingProxyType({})
    ) -> StepPlan | None:
        """The next step, or None when there is nothing to compute. `drafts` answer `wishes`."""
        decoding = [sequence for sequence in self.running if sequence.decoding]
        left = self._prompt_tokens(decoding)
        slices: list[SequenceSlice] = []
        preempted = self.counters.preemptions
        position = 0
        while position < len(self.running):
            sequence = self.running[position]
            count = 1 if sequence.decoding else min(sequence.num_missing, left)
            if count and not self._make_room(sequence, count):
                continue  # it was preempted itself and is no longer at this position
            if count:
                guesses = drafts.get(sequence.request.request_id, ())
                slices.append(self._slice(sequence, count, guesses))
                left -= 0 if sequence.decoding else count
            position += 1
        if self.counters.preemptions == preempted:
            self._admit(left, slices, now)
        return StepPlan(tuple(slices)) if slices else None

    def _prompt_tokens(self, decoding: list[Sequence]) -> int:
        prompts = len(self.running) - len(decoding) + len(self._queue)
        first = next((s for s in self.running if not s.decoding), None) or self._queue.head()
        length, computed = (0, 0) if first is None else (len(first.tokens), first.num_computed)
        context = sum(len(sequence.tokens) for sequence in decoding)
        return self.budget.prompt_tokens(prompts, length, len(decoding), context, computed)

    def _make_room(self, sequence: Sequence, count: int) -> bool:
        """Gives the sequence blocks for `count` more tokens, preempting younger ones if needed.
        False when it had to give up its own place."""
        needed = self._blocks_for(sequence.num_computed + count) - len(sequence.blocks)
        if needed <= 0:
            return True
        while needed > self.pool.num_free:
            victim = self.running[-1]
            self._preempt(victim)
            if victim is sequence:
                return False
        sequence.blocks += self.pool.allocate(needed)
        return True

    def _preempt(self, victim: Sequence) -> None:
        self.running.remove(victim)
        self._release(victim)
        victim.num_computed = 0
        victim.move_to(SequenceState.PREEMPTED)
        self._queue.put_back(victim)
        self.counters.preemptions += 1

    def _admit(self, left: int, slices: list[SequenceSlice], now: float) -> None:
        while left > 0 and len(self.running) < self.options.max_running:
            sequence = self._queue.head()
            if sequence is None or not self._whole.fits(sequence, left, slices):
                return
            if not self._take_blocks(sequence):
                return
            self._queue.remove(sequence)
            if sequence.state is SequenceState.WAITING:
                self._begin(sequence, now)
            sequence.move_to(SequenceState.RUNNING)
            self.running.append(sequence)
            count = self._whole.count(sequence, left)
            slices.append(self._slice(sequence, count))
            left -= count

    def _begin(self, sequence: Sequence, now: float) -> None:
        """What counts once, however often the sequence is preempted and admitted again."""
        sequence.queued_seconds = now - sequence.arrived
        sequence.num_cached = sequence.num_computed
        self.counters.prefix_queried += len(sequence.tokens)
        self.counters.prefix_hits += sequence.num_computed
        self._queue.charge(sequence, input_tokens=sequence.num_missing)

    def _take_blocks(self, sequence: Sequence) -> bool:
        """Cached blocks and room for everything the sequence has so far, or nothing at all."""
        cached = self._lookup(sequence)
        for block in cached:
            self.pool.share(block)
        needed = self._blocks_for(len(sequence.tokens)) - len(cached)
        # One spare block per running sequence keeps an admission from preempting at once.
        spare = min(len(self.running), self.options.num_blocks // 16)
        if needed + spare > self.pool.num_free:
            self.pool.release(cached, self.cache.holds)
            return False
        sequence.blocks = cached + self.pool.allocate(needed)
        sequence.num_computed = len(cached) * self.options.block_size
        return True

    def _lookup(self, sequence: Sequence) -> list[BlockId]:
        if not self._caches(sequence) or sequence.scores_prompt:
            return []
        # The last token is always computed: its logits are what the next one is drawn from.
        limit = (len(sequence.tokens) - 1) // self.options.block_size
        return self.cache.lookup(sequence.chain, sequence.tokens, limit)

    def _caches(self, sequence: Sequence) -> bool:
        return self.options.prefix_cache and not self._whole.among(sequence.request)

    def _blocks_for(self, tokens: int) -> int:
        return -(-tokens // self.options.block_size)

    def _slice(
        self, sequence: Sequence, count: int, drafts: tuple[TokenId, ...] = ()
    ) -> SequenceSlice:
        end = sequence.num_computed + count + len(drafts)
        return sequence.slice(count, self._blocks_for(end), drafts)

    # --- results ----------------------------------------------------------------------------

    def apply(self, plan: StepPlan, result: StepResult) -> list[TokenDelta]:
        """Takes a step's outcome in; returns what there is to deliver, in plan order."""
        self.budget.observe(plan, result.seconds)
        deltas = []
        for piece, outcome in zip(plan.slices, result.slices, strict=True):
            delta = self._apply_slice(self._sequences[piece.request_id], piece, outcome)
            if delta is not None:
                deltas.append(delta)
        return deltas

    def _apply_slice(
        self, sequence: Sequence, piece: SequenceSlice, outcome: SliceResult
    ) -> TokenDelta | None:
        if outcome.error_code is not None:
            for block in sequence.blocks:  # what was read may be what went wrong
                self.cache.forget(block)
            return self._finish(sequence, Finish(FinishReason.ERROR, error_code=outcome.error_code))
        sequence.num_computed = piece.end
        sequence.num_scored = max(sequence.num_scored, min(piece.end + 1, sequence.num_prompt))
        in_prompt = max(0, min(piece.end, sequence.num_prompt) - piece.start)
        self.counters.prompt_tokens += in_prompt
        if outcome.tokens:
            return self._extend(sequence, piece, outcome)
        self._register(sequence, piece)
        if piece.pooling is not None and piece.samples:
            return self._finish(sequence, Finish(FinishReason.STOP), outcome.pooled)
        scores = outcome.prompt_logprobs
        return sequence.delta(prompt_logprobs=scores) if scores else None

    def _register(self, sequence: Sequence, piece: SequenceSlice) -> None:
        if not self._caches(sequence):
            return
        size = self.options.block_size
        first, last = piece.start // size, sequence.num_computed // size
        if first < last:
            self.cache.register(sequence.chain, sequence.tokens, sequence.blocks, first, last)

    def _extend(self, sequence: Sequence, piece: SequenceSlice, outcome: SliceResult) -> TokenDelta:
        right = len(outcome.tokens) - 1
        sequence.acceptance.observe(len(piece.drafts), right)
        self.counters.drafted_tokens += len(piece.drafts)
        self.counters.accepted_tokens += right
        taken, finish = sequence.extend(outcome.tokens)
        sequence.num_computed += min(taken, right)
        self._register(sequence, piece)
        self.counters.output_tokens += taken
        self._queue.charge(sequence, output_tokens=taken)
        delta = sequence.delta(
            token_ids=outcome.tokens[:taken],
            logprobs=outcome.logprobs[:taken],
            prompt_logprobs=outcome.prompt_logprobs,
            finish=finish,
        )
        if finish is not None:
            self._retire(sequence)
        return delta

    def _finish(self, sequence: Sequence, finish: Finish, pooled: bytes = b"") -> TokenDelta:
        self._retire(sequence)
        return sequence.delta(finish=finish, pooled=pooled)

    def _retire(self, sequence: Sequence) -> None:
        if sequence.state is SequenceState.RUNNING:
            self.running.remove(sequence)
            self._release(sequence)
        else:
            self._queue.remove(sequence)
        sequence.move_to(SequenceState.FINISHED)
        self._queue.retire(sequence.request)
        del self._sequences[sequence.request.request_id]

    def _release(self, sequence: Sequence) -> None:
        self.pool.release(sequence.blocks, self.cache.holds)
        sequence.blocks = []

    # --- invariants -------------------------------------------------------------------------

    def check(self) -> None:
        """Raises AssertionError when an invariant does not hold (I02-I04)."""
        self.pool.check(sequence.blocks for sequence in self.running)
        self.cache.check()
        waiting = self._queue.waiting()
        assert len(waiting) == len(self._queue)
        assert self.waiting_tokens == sum(sequence.num_missing for sequence in waiting)
        assert all(self._earliest <= sequence.deadline for sequence in self._sequences.values())
        assert all(not sequence.blocks for sequence in waiting), "a waiting sequence holds blocks"
        assert len(self.running) + len(waiting) == len(self._sequences)
        for sequence in self.running:
            assert sequence.state is SequenceState.RUNNING
            assert self._blocks_for(sequence.num_computed) <= len(sequence.blocks)
        if self.idle:
            assert self.pool.num_used == 0, "idle, yet blocks are in use"
