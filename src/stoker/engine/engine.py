"""The step loop's body: scheduler and executor, one step at a time."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import NamedTuple

from stoker.core.abilities import DECODER, Abilities
from stoker.core.clock import Clock
from stoker.core.ids import RequestId
from stoker.core.output import TokenDelta
from stoker.core.request import Request
from stoker.core.validation import validate
from stoker.engine.adapters import Adapters
from stoker.engine.block_log import BlockLog
from stoker.engine.interface import EngineInfo, EngineLoad
from stoker.engine.self_test import computes
from stoker.errors import InternalError, UnsupportedConstraint
from stoker.executor.interface import Executor, MemoryPlan, SliceResult, StepResult
from stoker.scheduler.guide import Guide
from stoker.scheduler.plan import StepPlan
from stoker.scheduler.scheduler import Scheduler
from stoker.scheduler.speculation import Drafter, guesses

log = logging.getLogger(__name__)

MAX_FAILED_STEPS = 3
"""Consecutive steps without one good row, after which the engine tests itself."""


class StepPulse(NamedTuple):
    num_steps: int
    """Completed."""
    running_seconds: float
    """How long the step under way has been running, planning included; 0 between steps."""
    expected_seconds: float
    """How long it was expected to take; 0 between steps."""


class Engine:
    """Driven by one thread. Every accepted request gets exactly one ending from `step`."""

    def __init__(
        self,
        executor: Executor,
        scheduler: Scheduler,
        clock: Clock,
        vocab_size: int,
        abilities: Abilities = DECODER,
        block_log: BlockLog | None = None,
        drafter: Drafter | None = None,
        adapters: Adapters | None = None,
    ) -> None:
        self._executor = executor
        self._scheduler = scheduler
        self._clock = clock
        self._vocab_size = vocab_size
        self._abilities = abilities
        self._drafter = drafter or Drafter()
        self.adapters = adapters or Adapters(executor, 0, 0)
        self.announce: Callable[[tuple[RequestId, ...]], None] = lambda _request_ids: None
        """Called before a step that computes other requests than the one before it."""
        self.block_log = block_log or BlockLog()
        """Filled only if the scheduler's cache was told to."""
        self._announced: tuple[RequestId, ...] = ()
        self._failed_steps = 0
        self.broken = False
        """Whether the engine failed its own test, so that the process should be replaced."""
        self.asleep = False
        self._broken_invariants = 0
        self._step_seconds = 0.0
        self._num_masks = 0
        self._mask_seconds = 0.0
        self._started: float | None = None
        self._expected_seconds = 0.0
        self.num_steps = 0

    @property
    def idle(self) -> bool:
        return self._scheduler.idle

    def submit(self, request: Request, guide: Guide | None = None) -> None:
        """`guide` enforces the request's constraint and stands behind its output tokens.

        Raises InvalidRequest, ModelNotFound for an adapter that is not loaded,
        ContextLengthExceeded, UnsupportedConstraint for a constraint without a guide, or
        Overloaded; the request then has no ending here."""
        self._check(request, guide)
        self._scheduler.add(request, self._clock.monotonic(), guide)

    def resume(self, request: Request, guide: Guide | None = None) -> None:
        """Takes over a request that an engine before this one had accepted, however many wait."""
        self._check(request, guide)
        self._scheduler.restore(request, self._clock.monotonic(), guide)

    def _check(self, request: Request, guide: Guide | None) -> None:
        validate(request, self._vocab_size, self._abilities)
        self.adapters.check(request.adapter)
        if request.constraint is not None and guide is None:
            raise UnsupportedConstraint("nothing here enforces it", param="constraint")

    def sleep(self) -> None:
        """Gives back all memory but the weights', unless there are requests. What was cached is
        forgotten."""
        if self.idle and not self.asleep:
            self._scheduler.cache.clear()
            self._executor.release_kv()
            self._drafter.sleep()
            self.asleep = True

    def wake(self) -> None:
        """To be called before the next request is taken."""
        if self.asleep:
            self._executor.restore_kv()
            self._drafter.wake()
            self.asleep = False

    def cancel(self, request_id: RequestId) -> None:
        self._scheduler.cancel(request_id)

    def step(self) -> list[TokenDelta]:
        """Computes one step if there is work. What raises ends only itself."""
        now = self._clock.monotonic()
        self._started = now
        try:
            return self._step(now)
        finally:
            self._started = None
            self._expected_seconds = 0.0

    def _step(self, now: float) -> list[TokenDelta]:
        deltas = self._scheduler.sweep(now)
        wishes = self._scheduler.wishes(self._drafter.seconds_per_token)
        plan = self._scheduler.plan(now, guesses(self._drafter, wishes))
        if plan is not None:
            deltas += self._run(plan)
        if self.idle:
            self._check_invariants()
        return deltas

    def _announce(self, plan: StepPlan) -> None:
        request_ids = tuple(piece.request_id for piece in plan.slices)
        if request_ids != self._announced:
            self._announced = request_ids
            self.announce(request_ids)

    def _run(self, plan: StepPlan) -> list[TokenDelta]:
        self._announce(plan)
        self._expected_seconds = self._scheduler.budget.expected_seconds(plan)
        try:
            result = self._compute(plan)
        finally:
            self.num_steps += 1
        self._step_seconds += result.seconds
        self._num_masks += result.num_masks
        self._mask_seconds += result.mask_seconds
        deltas = self._scheduler.apply(plan, result)
        self._judge(result)
        return deltas

    def _compute(self, plan: StepPlan) -> StepResult:
        try:
            return self._executor.collect(self._executor.submit(plan))
        except Exception:
            log.exception("a step failed")
        return self._compute_singly(plan)

    def _compute_singly(self, plan: StepPlan) -> StepResult:
        """A step that raised, again with each sequence alone, so that only what raises once more
        ends. A token does not depend on its neighbours, so the others lose nothing. The time is
        the expected one: the cost model has nothing to learn from this."""
        if len(plan.slices) == 1:
            slices: tuple[SliceResult, ...] = (SliceResult(error_code=InternalError.code),)
        else:
            alone = [self._compute(StepPlan((piece,))) for piece in plan.slices]
            slices = tuple(outcome for result in alone for outcome in result.slices)
        return StepResult(slices, self._scheduler.budget.expected_seconds(plan))

    def _judge(self, result: StepResult) -> None:
        """Counts steps without one good row; after enough of them the engine computes a token of
        its own. What requests do to themselves ends them alone: however many fail, the engine is
        replaced only when this token fails too, as it does when weights were damaged."""
        if any(outcome.error_code is None for outcome in result.slices):
            self._failed_steps = 0
            return
        self._failed_steps += 1
        pool = self._scheduler.pool
        if self._failed_steps >= MAX_FAILED_STEPS and pool.num_free:
            self._failed_steps = 0
            blocks = pool.allocate(1)
            self.broken = not computes(self._executor, blocks[0])
            pool.release(blocks, self._scheduler.cache.holds)

    def pulse(self) -> StepPulse:
        """The step under way. May be called from another thread while one is stuck."""
        started, expected = self._started, self._expected_seconds
        running = 0.0 if started is None else self._clock.monotonic() - started
        return StepPulse(self.num_steps, running, expected)

    def _check_invariants(self) -> None:
        try:
            self._scheduler.check()
        except AssertionError:
            self._broken_invariants += 1
            log.exception("an invariant does not hold")

    def close(self) -> None:
        """Gives the model's memory back."""
        self._drafter.close()
        self._executor.close()

    def load(self) -> EngineLoad:
        scheduler = self._scheduler
        counters = scheduler.counters
        return EngineLoad(
            num_running=len(scheduler.running),
            num_waiting=scheduler.num_waiting,
            waiting_tokens=scheduler.waiting_tokens,
            used_blocks=scheduler.pool.num_used,
            cached_blocks=len(scheduler.cache),
            total_blocks=scheduler.pool.num_blocks,
            num_steps=self.num_steps,
            num_preemptions=counters.preemptions,
            prefix_queried_tokens=counters.prefix_queried,
            prefix_hit_tokens=counters.prefix_hits,
            prompt_tokens=counters.prompt_tokens,
            output_tokens=counters.output_tokens,
            drafted_tokens=counters.drafted_tokens,
            accepted_tokens=counters.accepted_tokens,
            step_seconds=self._step_seconds,
            num_masks=self._num_masks,
            mask_seconds=self._mask_seconds,
            broken_invariants=self._broken_invariants,
        )


def engine_info(
    plan: MemoryPlan,
    scheduler: Scheduler,
    vocab_size: int,
    kernels: str,
    abilities: Abilities = DECODER,
) -> EngineInfo:
    return EngineInfo(
        max_context=scheduler.longest_possible,
        vocab_size=vocab_size,
        block_size=plan.block_size,
        num_blocks=plan.num_blocks,
        max_running=scheduler.options.max_running,
        weight_bytes=plan.weight_bytes,
        kv_bytes=plan.kv_bytes,
        kernels=kernels,
        max_requests=scheduler.options.max_running + scheduler.options.max_waiting,
        abilities=abilities,
    )
