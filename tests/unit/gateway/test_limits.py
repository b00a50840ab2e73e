from __future__ import annotations

import msgspec
import pytest

from stoker.errors import BudgetExhausted, RateLimitExceeded
from stoker.gateway.ledger import Ask
from stoker.gateway.limits import LEAST_TOKENS, Limits
from stoker.gateway.tenant import Tenant, TenantLimits
from stoker.gateway.usage import Price, Usage

PRICE = Price(input=1, cached_input=1, output=5)


def ask(number: int = 1, prompt: int = 100, output: int = 100, **limits: int | str) -> Ask:
    tenant = Tenant(name="a", limits=TenantLimits(**limits))  # type: ignore[arg-type]
    return Ask(
        request_id=str(number), tenant=tenant, model="m", price=PRICE,
        input_tokens=prompt, output_tokens=output, seconds=60.0,
    )  # fmt: skip


def test_a_client_that_waits_as_told_gets_in() -> None:
    limits = Limits()
    for number in range(3):
        limits.reserve(ask(number, requests_per_minute=3), 10.0 + number, 0.0)
    with pytest.raises(RateLimitExceeded) as refused:
        limits.reserve(ask(3, requests_per_minute=3), 20.0, 0.0)
    after = 20.0 + (refused.value.retry_after or 0.0)
    with pytest.raises(RateLimitExceeded):
        limits.reserve(ask(3, requests_per_minute=3), after - 0.01, 0.0)
    limits.reserve(ask(3, requests_per_minute=3), after, 0.0)


def test_tokens_not_used_are_given_back_to_the_minute() -> None:
    limits = Limits()
    first = limits.reserve(ask(1, 100, 800, tokens_per_minute=1000), 0.0, 0.0)
    with pytest.raises(RateLimitExceeded):
        limits.reserve(ask(2, 100, 800, tokens_per_minute=1000), 0.0, 0.0)
    limits.settle(first.grant, Usage(input_tokens=100, output_tokens=10))
    second = limits.reserve(ask(2, 100, 800, tokens_per_minute=1000), 0.0, 0.0)
    assert second.grant.output_tokens == 790


def test_an_answer_is_shortened_to_the_minutes_tokens_but_not_to_nothing() -> None:
    limits = Limits()
    first = limits.reserve(ask(1, 100, 8000, tokens_per_minute=1000), 0.0, 0.0)
    assert first.grant.output_tokens == 900
    limits.settle(first.grant, Usage(input_tokens=100, output_tokens=900 - LEAST_TOKENS - 99))
    with pytest.raises(RateLimitExceeded):
        limits.reserve(ask(2, 100, 8000, tokens_per_minute=1000), 0.0, 0.0)


def test_what_can_never_fit_is_told_so() -> None:
    with pytest.raises(RateLimitExceeded) as refused:
        Limits().reserve(ask(1, 2000, 10, tokens_per_minute=1000), 0.0, 0.0)
    assert "waiting does not help" in refused.value.hint


def test_the_last_of_a_budget_shortens_the_answer_and_then_refuses() -> None:
    limits = Limits()
    for wanted, granted in ((100, 100), (100, 60)):
        found = limits.reserve(ask(1, 100, wanted, budget=1000), 0.0, 0.0)
        assert found.grant.output_tokens == granted
        limits.settle(found.grant, Usage(input_tokens=100, output_tokens=granted))
    with pytest.raises(BudgetExhausted):
        limits.reserve(ask(3, 1, 1, budget=1000), 0.0, 0.0)


def test_a_budget_that_running_requests_hold_is_no_spent_budget() -> None:
    """402 says that waiting does not help, and here it does."""
    limits = Limits()
    first = limits.reserve(ask(1, 100, 100, budget=1000), 0.0, 0.0)
    with pytest.raises(RateLimitExceeded) as refused:
        limits.reserve(ask(2, 100, 100, budget=1000), 0.0, 0.0)
    assert refused.value.retry_after
    limits.settle(first.grant, Usage(input_tokens=100, output_tokens=10))
    second = limits.reserve(ask(2, 100, 100, budget=1000), 0.0, 0.0)
    assert second.grant.output_tokens == 100


def test_what_is_free_needs_no_budget() -> None:
    limits, free = Limits(), Price()
    limits.reserve(ask(1, 100, 100, budget=600), 0.0, 0.0)
    found = limits.reserve(msgspec.structs.replace(ask(2, budget=600), price=free), 0.0, 0.0)
    assert found.grant.output_tokens == 100


def test_a_request_without_output_is_paid_for_too() -> None:
    limits = Limits()
    for number in range(10):
        found = limits.reserve(ask(number, 100, 0, budget=1000), 0.0, 0.0)
        limits.settle(found.grant, Usage(input_tokens=100))
    with pytest.raises(BudgetExhausted):
        limits.reserve(ask(10, 1, 0, budget=1000), 0.0, 0.0)


def test_one_request_may_reserve_twice() -> None:
    """As where the first backend of a route failed."""
    limits = Limits()
    first, second = (limits.reserve(ask(1, concurrency=2), 0.0, 0.0).grant for _ in range(2))
    assert limits.settle(first, Usage())
    assert limits.settle(second, Usage())
    assert not limits.settle(second, Usage())
    assert limits.accounts["a"].running == 0


def test_a_new_window_has_a_new_budget_and_old_requests_do_not_count_in_it() -> None:
    limits = Limits()
    first = limits.reserve(ask(1, 100, 100, budget=600, budget_window="hour"), 0.0, 3599.0)
    with pytest.raises(RateLimitExceeded):
        limits.reserve(ask(2, 100, 100, budget=600, budget_window="hour"), 0.0, 3599.0)
    limits.reserve(ask(2, 100, 100, budget=600, budget_window="hour"), 1.0, 3600.0)
    limits.settle(first.grant, Usage(input_tokens=100, output_tokens=100))
    account = limits.accounts["a"]
    assert (account.spent, account.reserved) == (0, 600)


def test_a_clock_that_is_set_back_opens_no_second_budget() -> None:
    limits = Limits()
    first = limits.reserve(ask(1, 100, 100, budget=600, budget_window="hour"), 0.0, 7200.0)
    limits.settle(first.grant, Usage(input_tokens=100, output_tokens=100))
    with pytest.raises(BudgetExhausted):
        limits.reserve(ask(2, 100, 100, budget=600, budget_window="hour"), 0.0, 3000.0)


def test_a_reservation_nobody_settles_ends_at_its_worst() -> None:
    limits = Limits()
    found = limits.reserve(ask(1, 100, 100, budget=1000, concurrency=1), 0.0, 0.0)
    assert limits.expired(59.0) == []
    assert [one.worst for one in limits.expired(60.0)] == [600]
    assert limits.accounts["a"].spent == 600
    assert not limits.settle(found.grant, Usage())
    limits.reserve(ask(2, 10, 10, budget=1000, concurrency=1), 61.0, 0.0)
