"""Processes that spend, stop and are killed in any order, over the same funds, pass no budget."""

from __future__ import annotations

import asyncio

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from stoker.core.clock import ManualClock
from stoker.errors import BudgetExhausted, RateLimitExceeded
from stoker.gateway.ledger import Grant
from stoker.gateway.stores.drawing import DRY_SECONDS, DrawingLimiter
from stoker.gateway.usage import Usage
from stoker.gateway.windows import window_of
from tests.support.tenants import ask, tenant

BUDGET = 20_000
TENANT = tenant(budget=BUDGET, budget_window="hour")


class FundsOnPaper:
    def __init__(self) -> None:
        self.drawn: dict[str, int] = {}

    async def draw(self, tenant: str, window: str, most: int, limit: int) -> int:
        before = self.drawn.get(window, 0)
        drawn = max(0, min(most, limit - before))
        await asyncio.sleep(0)
        self.drawn[window] = before + drawn
        return drawn

    async def give_back(self, tenant: str, window: str, amount: int) -> None:
        self.drawn[window] -= amount


class DrawingMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.clock = ManualClock(wall=100.0)
        self.funds = FundsOnPaper()
        self.cost: dict[str, int] = {}
        """Window → settled, and at their worst what runs or ran in a process that was killed."""
        self.killed = 0
        self.start()

    def start(self) -> None:
        self.limiter = DrawingLimiter(self.funds, self.clock, lambda record: None)
        self.open: list[tuple[str, Grant]] = []

    @rule(prompt=st.integers(1, 3000), outputs=st.lists(st.integers(0, 3000), max_size=3))
    def reserve(self, prompt: int, outputs: list[int]) -> None:
        """Several at once."""
        asyncio.run(self._reserve(prompt, outputs))

    async def _reserve(self, prompt: int, outputs: list[int]) -> None:
        asked = (ask(TENANT, prompt, output=output, seconds=1e9) for output in outputs)
        reserving = map(self.limiter.reserve, asked)
        for found in await asyncio.gather(*reserving, return_exceptions=True):
            if isinstance(found, Grant):
                window = window_of("hour", self.clock.wall())
                self.open.append((window, found))
                self.cost[window] = self.cost.get(window, 0) + prompt + found.output_tokens
            else:
                assert isinstance(found, BudgetExhausted | RateLimitExceeded)

    @rule(number=st.integers(0, 50), output=st.integers(0, 3000))
    def settle(self, number: int, output: int) -> None:
        if self.open:
            window, grant = self.open.pop(number % len(self.open))
            unused = max(0, grant.output_tokens - output)
            used = Usage(
                input_tokens=grant.ask.input_tokens, output_tokens=grant.output_tokens - unused
            )
            assert asyncio.run(self.limiter.settle(grant, used))
            self.cost[window] -= unused

    @rule()
    def stop(self) -> None:
        asyncio.run(self.limiter.close())
        self.start()

    @rule()
    def kill(self) -> None:
        self.killed += 1
        self.start()

    @rule(seconds=st.sampled_from([DRY_SECONDS, 200.0, 1900.0]))
    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @invariant()
    def no_budget_is_passed(self) -> None:
        for window, cost in self.cost.items():
            assert cost <= self.funds.drawn.get(window, 0) <= BUDGET

    def teardown(self) -> None:
        """Without a kill nothing is gone that was not spent."""
        asyncio.run(self.limiter.close())
        window = window_of("hour", self.clock.wall())
        if not self.killed:
            assert self.funds.drawn.get(window, 0) == self.cost.get(window, 0)


TestDrawing = DrawingMachine.TestCase
TestDrawing.settings = settings(
    max_examples=60, stateful_step_count=30, deadline=None, derandomize=True
)
