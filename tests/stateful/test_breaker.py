"""However requests come and end, a breaker lets through what it says, and no probe is lost."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from stoker.gateway.upstream.breaker import (
    Breaker,
    BreakerLimits,
    BreakerState,
    Outcome,
    Passage,
)

LIMITS = BreakerLimits(consecutive=3, least_requests=6, probes=2, answers_to_close=2)


class BreakerMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.breaker = Breaker(LIMITS)
        self.now = 0.0
        self.under_way: list[Passage] = []
        self.opened_at: float | None = None
        self.in_a_row = 0

    @rule()
    def enter(self) -> None:
        state = self.breaker.state(self.now)
        passage = self.breaker.enter(self.now)
        if state is BreakerState.CLOSED:
            assert passage is not None
            assert not passage.probe
        if state is BreakerState.OPEN:
            assert passage is None
            assert self.breaker.retry_after(self.now) > 0
        if passage is not None:
            assert passage.probe == (state is BreakerState.HALF_OPEN)
            self.under_way.append(passage)

    @precondition(lambda self: self.under_way)
    @rule(data=st.data(), outcome=st.sampled_from(Outcome))
    def end(self, data: st.DataObject, outcome: Outcome) -> None:
        passage = self.under_way.pop(data.draw(st.integers(0, len(self.under_way) - 1)))
        before = self.breaker.state(self.now)
        self.breaker.end(passage, outcome, self.now)
        after = self.breaker.state(self.now)
        if outcome is Outcome.UNKNOWN:
            assert after is before
        if outcome is not Outcome.FAILED:
            assert after is not BreakerState.OPEN or before is BreakerState.OPEN
        if before is not BreakerState.OPEN and after is BreakerState.OPEN:
            self.opened_at = self.now

    @rule(seconds=st.sampled_from([0.1, 1.0, 5.0, 61.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @invariant()
    def probes_are_counted(self) -> None:
        current = [p for p in self.under_way if p.generation == self.breaker._generation]
        assert self.breaker._probing == sum(passage.probe for passage in current)
        assert self.breaker._probing <= LIMITS.probes

    @invariant()
    def it_never_stays_open_longer_than_its_longest(self) -> None:
        if self.breaker.state(self.now) is BreakerState.OPEN:
            assert self.opened_at is not None
            assert self.now - self.opened_at < LIMITS.longest_open_seconds


TestBreaker = BreakerMachine.TestCase
TestBreaker.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None, derandomize=True
)
