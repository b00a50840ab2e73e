"""Whatever is reserved, settled and forgotten in any order, no limit is passed by one token."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from stoker.errors import BudgetExhausted, RateLimitExceeded
from stoker.gateway.ledger import Ask
from stoker.gateway.limits import Account, Limits, Reservation
from stoker.gateway.tenant import Tenant, TenantLimits
from stoker.gateway.usage import Price, Usage

LIMITS = TenantLimits(
    requests_per_minute=8, tokens_per_minute=900, concurrency=3, budget=20_000, budget_window="hour"
)
TENANT = Tenant(name="a", limits=LIMITS)
PRICE = Price(input=3, cached_input=1, output=10)
LEASE = 90.0


class LimitsMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.limits = Limits()
        self.now = 5.0
        self.open: dict[str, Reservation] = {}
        self.count = 0
        self.used: list[tuple[float, int]] = []
        """When, and how many tokens: reservations at their worst until they are settled."""
        self.began: list[float] = []
        self.spent: dict[str, int] = {}

    @rule(prompt=st.integers(1, 400), output=st.integers(1, 600))
    def reserve(self, prompt: int, output: int) -> None:
        self._expire()
        self.count += 1
        ask = Ask(
            request_id=f"r{self.count // 2}", tenant=TENANT, model="m", price=PRICE,
            input_tokens=prompt, output_tokens=output, seconds=LEASE,
        )  # fmt: skip
        try:
            found = self.limits.reserve(ask, self.now, self.now)
        except RateLimitExceeded as error:
            assert error.retry_after is not None
            assert error.retry_after > 0
            return
        except BudgetExhausted:
            return
        assert 1 <= found.grant.output_tokens <= output
        self.open[found.grant.reservation] = found
        self.began.append(self.now)

    @rule(data=st.data(), share=st.floats(0, 1), cached=st.floats(0, 1))
    def settle(self, data: st.DataObject, share: float, cached: float) -> None:
        self._expire()
        if not self.open:
            return
        found = self.open.pop(data.draw(st.sampled_from(sorted(self.open))))
        grant = found.grant
        usage = Usage(
            input_tokens=grant.ask.input_tokens,
            cached_tokens=int(grant.ask.input_tokens * cached),
            output_tokens=int(grant.output_tokens * share),
        )
        assert self.limits.settle(grant, usage)
        assert not self.limits.settle(grant, usage)
        self.used.append((found.second, usage.total_tokens))
        self.spent[found.window] = self.spent.get(found.window, 0) + PRICE.cost(usage)

    @rule(seconds=st.sampled_from([0.01, 0.5, 7.0, 61.0, 1900.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    def _expire(self) -> None:
        for found in self.limits.expired(self.now):
            grant = found.grant
            assert self.open.pop(grant.reservation) == found
            self.used.append((found.second, grant.ask.input_tokens + grant.output_tokens))
            self.spent[found.window] = self.spent.get(found.window, 0) + found.worst

    @invariant()
    def no_limit_is_passed(self) -> None:
        minute = [when for when in self.began if self.now - when < 60.0]
        assert len(minute) <= LIMITS.requests_per_minute
        worst = [
            (found.second, found.grant.ask.input_tokens + found.grant.output_tokens)
            for found in self.open.values()
        ]
        recent = sum(n for when, n in [*self.used, *worst] if self.now - when < 60.0)
        assert recent <= LIMITS.tokens_per_minute
        assert len(self.open) <= LIMITS.concurrency
        for window, spent in self.spent.items():
            reserved = sum(one.worst for one in self.open.values() if one.window == window)
            assert spent + reserved <= LIMITS.budget

    @invariant()
    def what_was_held_is_given_back(self) -> None:
        account = self.limits.accounts.get("a", Account())
        assert account.running == len(self.open) == self.limits.num_open
        assert len(self.limits._leases) <= 2 * len(self.open) + 65
        if not self.open:
            assert account.reserved == 0


TestLimits = LimitsMachine.TestCase
TestLimits.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None, derandomize=True
)
