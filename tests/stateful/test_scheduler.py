"""The scheduler over the fake executor: arrivals, steps, cancellations, deadlines, failing rows,
pools of 1 to 64 blocks (I01-I06), and thousands of random schedules with exact results (I07)."""

from __future__ import annotations

import random

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from stoker.core.ids import RequestId
from stoker.core.output import FinishReason
from stoker.core.request import Request
from stoker.core.sampling import SamplingParams
from stoker.errors import ContextLengthExceeded, Overloaded
from stoker.executor.fake import FakeExecutor, FakeOptions, expected_tokens
from stoker.executor.interface import SliceResult, StepHandle, StepResult
from stoker.scheduler.plan import StepPlan
from tests.support.driving import Driver, make_scheduler
from tests.support.guessing import Guesser

CONTEXT = 60


class FailingRows:
    """Gives the named requests a numerical error in their next step."""

    def __init__(self, inner: FakeExecutor) -> None:
        self.inner = inner
        self.poisoned: set[str] = set()

    def __getattr__(self, name: str) -> object:
        return getattr(self.inner, name)

    def collect(self, handle: StepHandle) -> StepResult:
        result = self.inner.collect(handle)
        slices = tuple(
            SliceResult(error_code="numerical_error")
            if piece.request_id in self.poisoned
            else outcome
            for piece, outcome in zip(self.plan.slices, result.slices, strict=True)
        )
        return StepResult(slices, result.seconds)

    def submit(self, plan: StepPlan) -> StepHandle:
        self.plan = plan
        return self.inner.submit(plan)


class Machine(RuleBasedStateMachine):
    @initialize(
        blocks=st.integers(1, 64),
        size=st.sampled_from([1, 2, 4, 16]),
        running=st.integers(1, 6),
        chunk=st.sampled_from([16, 32, 200]),
        inter_token=st.sampled_from([0.0025, 1.0]),
        right=st.sampled_from([0.0, 0.7, 1.0]),
    )
    def start(
        self, blocks: int, size: int, running: int, chunk: int, inter_token: float, right: float
    ) -> None:
        options = FakeOptions(num_blocks=blocks, block_size=size, max_context=CONTEXT)
        self.executor = FailingRows(FakeExecutor(options))
        scheduler = make_scheduler(
            self.executor,  # type: ignore[arg-type]
            max_running=running,
            max_step_tokens=chunk,
            inter_token_target=inter_token,
            max_waiting=8,
        )
        self.driver = Driver(self.executor, scheduler, Guesser(right))  # type: ignore[arg-type]
        self.capacity = min(CONTEXT, blocks * size)
        self.made: dict[RequestId, Request] = {}
        self.oldest: RequestId | None = None
        self.preemptions = 0

    @rule(
        prompt=st.lists(st.integers(0, 2), min_size=1, max_size=30),
        new=st.integers(1, 12),
        tenant=st.sampled_from("abc"),
        timeout=st.sampled_from([None, None, 3.0]),
        scored=st.booleans(),
    )
    def arrive(
        self, prompt: list[int], new: int, tenant: str, timeout: float | None, scored: bool
    ) -> None:
        request = Request(
            request_id=RequestId(f"r{len(self.made)}"),
            prompt_token_ids=tuple(prompt),
            sampling=SamplingParams(
                max_tokens=new, seed=len(self.made), prompt_logprobs=0 if scored else None
            ),
            tenant=tenant,
            timeout=timeout,
        )
        self.made[request.request_id] = request
        try:
            self.driver.add(request)
        except ContextLengthExceeded:
            assert len(prompt) + new > self.capacity
        except Overloaded:
            assert self.driver.scheduler.num_waiting >= 8
        else:
            assert len(prompt) + new <= self.capacity

    @rule(index=st.integers(0, 30))
    def cancel(self, index: int) -> None:
        self.driver.scheduler.cancel(RequestId(f"r{index}"))

    @rule(index=st.integers(0, 30))
    def poison(self, index: int) -> None:
        self.executor.poisoned.add(f"r{index}")

    @rule(seconds=st.floats(0, 2))
    def wait(self, seconds: float) -> None:
        self.driver.now += seconds

    @rule(times=st.integers(1, 6))
    def step(self, times: int) -> None:
        for _ in range(times):
            running = self.driver.scheduler.running
            oldest = running[0] if running else None
            self.driver.step()
            if oldest is not None and oldest.state.value != "finished":
                assert running and running[0] is oldest, "the oldest was preempted (I06)"

    @invariant()
    def sound(self) -> None:
        if not hasattr(self, "driver"):
            return
        self.driver.scheduler.check()
        for request_id, outcome in self.driver.outcomes.items():
            request = self.made[request_id]
            wanted = expected_tokens(
                request.prompt_token_ids, request.sampling.seed, request.sampling.max_tokens
            )
            assert outcome.tokens == wanted[: len(outcome.tokens)], "other tokens than alone (I07)"
            if outcome.finish is not None and outcome.finish.reason is FinishReason.LENGTH:
                assert outcome.tokens == wanted
                if request.sampling.prompt_logprobs is not None:
                    assert len(outcome.prompt_logprobs) == len(request.prompt_token_ids) - 1

    def teardown(self) -> None:
        if not hasattr(self, "driver"):
            return
        self.executor.poisoned.clear()
        longest = sum(len(r.prompt_token_ids) + r.sampling.max_tokens for r in self.made.values())
        for _ in range(2 * longest + 2):  # every step gives some request a token (I05)
            if self.driver.scheduler.idle:
                break
            self.driver.step()
        assert self.driver.scheduler.idle
        assert all(outcome.finish is not None for outcome in self.driver.outcomes.values())


Machine.TestCase.settings = settings(max_examples=80, stateful_step_count=40)
TestScheduler = Machine.TestCase


def random_schedule(seed: int) -> tuple[int, int]:
    """Twelve requests over three shared prompts in a random pool; returns the preemptions and the
    guesses that were right."""
    rng = random.Random(seed)
    stops = frozenset(range(rng.choice([0, 20])))
    options = FakeOptions(
        num_blocks=rng.randint(1, 64), block_size=rng.choice([1, 2, 4, 8, 16]), max_context=200
    )
    executor = FakeExecutor(options)
    scheduler = make_scheduler(
        executor,
        max_running=rng.randint(1, 8),
        max_step_tokens=rng.choice([16, 32, 100]),
        inter_token_target=rng.choice([0.001, 0.003, 0.1]),
        eos_token_ids=stops,
    )
    driver = Driver(executor, scheduler, Guesser(rng.random(), seed))
    prompts = [tuple(rng.randrange(1000) for _ in range(40)) for _ in range(3)]
    wanted: dict[RequestId, list[int]] = {}
    for i in range(12):
        prompt = rng.choice(prompts)[: rng.randint(1, 40)]
        prompt += tuple(rng.randrange(1000) for _ in range(rng.randint(0, 3)))
        sampling = SamplingParams(max_tokens=rng.randint(1, 20), seed=rng.randrange(5))
        request = Request(
            request_id=RequestId(str(i)),
            prompt_token_ids=prompt,
            sampling=sampling,
            tenant=rng.choice("ab"),
        )
        try:
            driver.add(request)
        except ContextLengthExceeded:
            continue
        tokens = expected_tokens(prompt, sampling.seed, sampling.max_tokens)
        cut = next((k for k, token in enumerate(tokens) if token in stops), len(tokens))
        wanted[request.request_id] = tokens[:cut]
        for _ in range(rng.randint(0, 4)):
            driver.step()
    assert {i: outcome.tokens for i, outcome in driver.run().items()} == wanted
    return scheduler.counters.preemptions, scheduler.counters.accepted_tokens


def test_thousands_of_random_schedules_give_each_request_its_solo_tokens() -> None:
    seen = [random_schedule(seed) for seed in range(2000)]
    preemptions, right = map(sum, zip(*seen, strict=True))
    assert preemptions > 500, "too few preemptions for the test to mean anything"
    assert right > 5000, "too few right guesses for the test to mean anything"
