"""Breaker, retry budget, outliers and slow start: each on a clock that is a number."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from stoker.gateway.upstream.breaker import Breaker, BreakerLimits, BreakerState, Outcome
from stoker.gateway.upstream.outliers import OutlierLimits, Outliers
from stoker.gateway.upstream.recent_share import RecentShare
from stoker.gateway.upstream.retry_budget import RetryBudget
from stoker.gateway.upstream.slow_start import SlowStart
from stoker.gateway.upstream.standing import Standing


def run(breaker: Breaker, outcome: Outcome, now: float) -> None:
    passage = breaker.enter(now)
    assert passage is not None
    breaker.end(passage, outcome, now)


def test_failures_in_a_row_open_a_breaker_and_answers_between_do_not() -> None:
    breaker = Breaker(BreakerLimits(consecutive=3))
    for outcome in (Outcome.FAILED, Outcome.FAILED, Outcome.ANSWERED, Outcome.FAILED):
        run(breaker, outcome, 0.0)
    assert breaker.state(0.0) is BreakerState.CLOSED
    run(breaker, Outcome.UNKNOWN, 0.0)
    run(breaker, Outcome.FAILED, 0.0)
    run(breaker, Outcome.FAILED, 0.0)
    assert breaker.enter(0.0) is None


def test_a_share_of_failures_opens_a_breaker_once_there_were_enough() -> None:
    breaker = Breaker(BreakerLimits(consecutive=99, least_requests=10, error_share=0.5))
    outcomes = [Outcome.ANSWERED, Outcome.FAILED] * 5
    for number, outcome in enumerate(outcomes):
        assert breaker.state(float(number)) is BreakerState.CLOSED
        run(breaker, outcome, float(number))
    assert breaker.state(9.0) is BreakerState.OPEN


def test_each_failed_probe_doubles_the_time_and_recovery_resets_it() -> None:
    breaker, now, times = Breaker(BreakerLimits(consecutive=1)), 0.0, []
    run(breaker, Outcome.FAILED, now)
    for _ in range(6):
        wait = breaker.retry_after(now)
        times.append(wait)
        assert breaker.enter(now + wait - 0.01) is None
        now += wait
        run(breaker, Outcome.FAILED, now)
    assert times == [5.0, 10.0, 20.0, 40.0, 60.0, 60.0]
    now += 60.0
    run(breaker, Outcome.ANSWERED, now)
    assert breaker.state(now) is BreakerState.HALF_OPEN
    run(breaker, Outcome.ANSWERED, now)
    assert breaker.state(now) is BreakerState.CLOSED
    run(breaker, Outcome.FAILED, now)
    assert breaker.retry_after(now) == 5.0


def test_what_began_before_a_breaker_opened_does_not_close_it() -> None:
    breaker = Breaker(BreakerLimits(consecutive=1, answers_to_close=1))
    early = breaker.enter(0.0)
    assert early is not None
    run(breaker, Outcome.FAILED, 0.0)
    breaker.end(early, Outcome.ANSWERED, 6.0)
    assert breaker.state(6.0) is BreakerState.HALF_OPEN


@given(st.lists(st.tuples(st.booleans(), st.sampled_from([0.0, 0.1, 3.0])), max_size=300))
def test_retries_never_exceed_their_share(steps: list[tuple[bool, float]]) -> None:
    budget, now, requests, retries = RetryBudget(0.2, 3, 10.0), 0.0, [], []
    for retry, wait in steps:
        now += wait
        if not retry:
            budget.request(now)
            requests.append(now)
        elif budget.take(now):
            retries.append(now)
        recent = [when for when in retries if now - when < 9.0]
        asked = [when for when in requests if now - when <= 10.0]
        assert len(recent) <= max(3, 0.2 * len(asked))


@given(st.lists(st.tuples(st.floats(0, 5), st.booleans()), max_size=200))
def test_a_window_counts_what_is_in_it(steps: list[tuple[float, bool]]) -> None:
    share, now, seen = RecentShare(10.0), 0.0, []
    for wait, marked in steps:
        now += wait
        share.add(now, marked=int(marked))
        seen.append((now, marked))
        surely = [one for one in seen if now - one[0] <= 9.0]
        perhaps = [one for one in seen if now - one[0] <= 10.0]
        counts = share.counts(now)
        assert len(surely) <= counts.all <= len(perhaps)
        assert sum(m for _, m in surely) <= counts.marked <= sum(m for _, m in perhaps)
        assert len(share._buckets) <= 11


def test_who_fails_much_more_than_the_others_is_ejected_for_longer_each_time() -> None:
    outliers = Outliers(["good", "bad"])
    ejections, now = [], 0.0
    for number in range(400):
        now += 1.0
        outliers.ended("good", now, failed=False)
        if not outliers.ejected("bad", now):
            seconds = outliers.ended("bad", now, failed=number % 3 == 0)
            ejections += [seconds] if seconds else []
    assert ejections[:3] == [30.0, 60.0, 90.0]


def test_who_fails_as_the_others_do_stays() -> None:
    outliers = Outliers(["a", "b", "c"])
    for number in range(300):
        for name in "abc":
            assert not outliers.ended(name, number / 10, failed=number % 2 == 0)


@given(st.lists(st.tuples(st.sampled_from("abcde"), st.booleans()), max_size=400))
def test_never_more_than_their_share_is_ejected(steps: list[tuple[str, bool]]) -> None:
    outliers = Outliers("abcde", OutlierLimits(least_requests=2))
    for number, (name, failed) in enumerate(steps):
        now = number / 20
        outliers.ended(name, now, failed=failed)
        assert sum(outliers.ejected(one, now) for one in "abcde") <= 2


def test_one_alone_is_never_ejected() -> None:
    outliers = Outliers(["only"])
    assert not any(outliers.ended("only", now / 10, failed=True) for now in range(100))


def test_who_comes_back_gets_more_and_more() -> None:
    slow = SlowStart(seconds=10.0, least=0.1)
    assert slow.weight(0.0) == 1.0
    slow.begin(5.0)
    weights = [slow.weight(5.0 + second) for second in range(12)]
    assert weights == sorted(weights)
    assert (weights[0], round(weights[5], 6), weights[10], weights[11]) == (0.1, 0.55, 1.0, 1.0)


def test_a_backend_that_recovers_starts_slowly() -> None:
    standing, now = Standing(), 0.0
    assert standing.weight(now) == 1.0
    for _ in range(5):
        passage = standing.breaker.enter(now)
        assert passage is not None
        standing.end(passage, Outcome.FAILED, now)
    assert standing.weight(now) == 0.0
    for _ in range(2):
        passage = standing.breaker.enter(6.0)
        assert passage is not None
        standing.end(passage, Outcome.ANSWERED, 6.0)
    assert standing.weight(6.0) == 0.1
    assert standing.weight(40.0) == 1.0


def test_health_and_ejection_only_say_who_goes_first() -> None:
    standing = Standing()
    standing.probed(0.0, healthy=False)
    assert standing.weight(0.0) == 0.0
    assert standing.breaker.enter(0.0) is not None
    standing.probed(1.0, healthy=True)
    assert standing.weight(1.0) == 0.1
    standing.eject(100.0, 30.0)
    assert standing.weight(129.0) == 0.0
    assert standing.weight(130.0) == 0.1
