"""Runs requests through a scheduler and an executor, step by step, checking invariants."""

from __future__ import annotations

from dataclasses import dataclass, field

from stoker.core.ids import RequestId
from stoker.core.output import Finish, TokenDelta, TokenLogprobs
from stoker.core.request import Request
from stoker.executor.interface import Executor
from stoker.kv.block_hash import keyed_hash
from stoker.scheduler.guide import Guide
from stoker.scheduler.options import SchedulerOptions
from stoker.scheduler.scheduler import Scheduler
from stoker.scheduler.speculation import Drafter, guesses


@dataclass
class Outcome:
    tokens: list[int] = field(default_factory=list)
    logprobs: list[TokenLogprobs] = field(default_factory=list)
    prompt_logprobs: list[TokenLogprobs] = field(default_factory=list)
    pooled: bytes = b""
    cached: int = 0
    finish: Finish | None = None

    def take(self, delta: TokenDelta) -> None:
        assert self.finish is None, "a delta after the ending (I01)"
        self.tokens += delta.token_ids
        self.logprobs += delta.logprobs
        self.prompt_logprobs += delta.prompt_logprobs
        self.pooled += delta.pooled
        self.cached += delta.num_cached_tokens
        self.finish = delta.finish


def make_scheduler(executor: Executor, **options: object) -> Scheduler:
    """A scheduler for the executor's pool; `options` override what the pool says."""
    memory = executor.load()
    base: dict[str, object] = {
        "num_blocks": memory.num_blocks,
        "block_size": memory.block_size,
        "max_context": memory.max_context,
        "max_step_tokens": memory.max_step_tokens,
    }
    return Scheduler(SchedulerOptions(**(base | options)), keyed_hash(b"test"))  # type: ignore[arg-type]


class Driver:
    def __init__(
        self, executor: Executor, scheduler: Scheduler, drafter: Drafter | None = None
    ) -> None:
        self.executor = executor
        self.scheduler = scheduler
        self.drafter = drafter or Drafter()
        self.outcomes: dict[RequestId, Outcome] = {}
        self.now = 0.0

    def add(self, request: Request, guide: Guide | None = None) -> None:
        self.scheduler.add(request, self.now, guide)
        self.outcomes[request.request_id] = Outcome()

    def step(self) -> list[TokenDelta]:
        deltas = self.scheduler.sweep(self.now)
        wishes = self.scheduler.wishes(self.drafter.seconds_per_token)
        plan = self.scheduler.plan(self.now, guesses(self.drafter, wishes))
        if plan is None:
            assert self.scheduler.idle, "work is left, but nothing is planned (I05)"
        else:
            deltas += self.scheduler.apply(plan, self.executor.collect(self.executor.submit(plan)))
        self.scheduler.check()
        for delta in deltas:
            self.outcomes[delta.request_id].take(delta)
        return deltas

    def run(self) -> dict[RequestId, Outcome]:
        while not self.scheduler.idle:
            self.step()
        return self.outcomes
