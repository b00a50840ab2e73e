"""The limits and budgets of all tenants, as a pure state machine.

Every reservation counts at its worst case from the moment it is granted. So whatever runs at the
same time, what is really used never passes a limit, by not even one token. Times are given:
`now` is monotonic seconds, `wall` is Unix seconds, which only calendar windows look at.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable

import msgspec

from stoker.errors import BudgetExhausted, RateLimitExceeded
from stoker.gateway.ledger import Ask, Grant
from stoker.gateway.tenant import Tenant
from stoker.gateway.usage import Usage
from stoker.gateway.windows import LastMinute, window_start

LEAST_TOKENS = 256
"""An answer is shortened to fit what is left of a minute's tokens, but not below this or what was
asked for: then the client is asked to come back."""


class Account:
    """One tenant's."""

    def __init__(self, tenant: Tenant) -> None:
        self.tenant = tenant
        self.requests = LastMinute()
        self.tokens = LastMinute()
        self.running = 0
        self.window = ""
        self.spent = 0
        """In this window, settled; in billionths of the currency."""
        self.reserved = 0
        """In this window, not settled yet."""

    @property
    def committed(self) -> int:
        return self.spent + self.reserved

    def turn(self, wall: float) -> None:
        """Begins a new window when its time has come."""
        window = window_start(self.tenant.limits.budget_window, wall)
        if window > self.window:
            self.window, self.spent, self.reserved = window, 0, 0


class Reservation(msgspec.Struct, frozen=True):
    grant: Grant
    second: int
    """Of the minute's slots."""
    window: str
    worst: int
    """What it can cost at most."""
    expires: float


class Limits:
    """Memory grows with tenants and with open requests only."""

    def __init__(self, tenants: Iterable[Tenant] = ()) -> None:
        self.accounts: dict[str, Account] = {}
        self._open: dict[str, Reservation] = {}
        self._leases: list[tuple[float, str]] = []
        self.update(tenants)

    def update(self, tenants: Iterable[Tenant]) -> None:
        """New limits for tenants known and unknown; what they used stays counted."""
        for tenant in tenants:
            self.account(tenant).tenant = tenant

    def account(self, tenant: Tenant) -> Account:
        return self.accounts.setdefault(tenant.name, Account(tenant))

    def reserve(self, ask: Ask, now: float, wall: float) -> Reservation:
        """Raises RateLimitExceeded or BudgetExhausted, and then has changed nothing."""
        account = self.account(ask.tenant)
        account.turn(wall)
        self._check_requests(account, now)
        output = min(ask.output_tokens, _affordable(account, ask))
        output = min(output, _fitting(account, ask, output, now))
        tokens = ask.input_tokens + output
        worst = ask.price.worst(ask.input_tokens, output)
        account.requests.add(1, now)
        account.running += 1
        account.reserved += worst
        grant = Grant(ask=ask, output_tokens=output)
        reservation = Reservation(
            grant, account.tokens.add(tokens, now), account.window, worst, now + ask.seconds
        )
        self._open[ask.request_id] = reservation
        heapq.heappush(self._leases, (reservation.expires, ask.request_id))
        return reservation

    def settle(self, request_id: str, usage: Usage) -> int | None:
        """Puts what was used in the place of what was reserved. Returns its cost; None when the
        request is not open, so that settling twice is settling once."""
        reservation = self._open.pop(request_id, None)
        if reservation is None:
            return None
        grant = reservation.grant
        account = self.accounts[grant.ask.tenant.name]
        cost = grant.ask.price.cost(usage)
        reserved = grant.ask.input_tokens + grant.output_tokens
        account.tokens.correct(reservation.second, usage.total_tokens - reserved)
        account.running -= 1
        if reservation.window == account.window:
            account.reserved -= reservation.worst
            account.spent += cost
        return cost

    def cancel(self, request_id: str) -> None:
        """The reservation was not used at all."""
        self.settle(request_id, Usage())

    def expired(self, now: float) -> list[Reservation]:
        """Settles at their worst case those that nobody settled in time; returns them."""
        found = []
        while self._leases and self._leases[0][0] <= now:
            _, request_id = heapq.heappop(self._leases)
            reservation = self._open.get(request_id)
            if reservation is not None and reservation.expires <= now:
                self.settle(request_id, worst_usage(reservation.grant))
                found.append(reservation)
        return found

    @property
    def num_open(self) -> int:
        return len(self._open)

    def _check_requests(self, account: Account, now: float) -> None:
        limits = account.tenant.limits
        if limits.concurrency and account.running >= limits.concurrency:
            raise RateLimitExceeded(
                f"{limits.concurrency} requests of this tenant are running already", retry_after=1.0
            )
        most = limits.requests_per_minute
        if most and account.requests.total(now) >= most:
            raise RateLimitExceeded(
                f"the limit is {most} requests a minute",
                retry_after=account.requests.seconds_until(1, most, now),
            )


def worst_usage(grant: Grant) -> Usage:
    return Usage(input_tokens=grant.ask.input_tokens, output_tokens=grant.output_tokens)


def _affordable(account: Account, ask: Ask) -> int:
    """The most output the window's money pays for. Raises BudgetExhausted."""
    budget = account.tenant.limits.budget
    if not budget or not ask.price.worst(1, 1):
        return ask.output_tokens
    left = budget - account.committed - ask.price.worst(ask.input_tokens, 0)
    if left < ask.price.output or left < 0:
        raise BudgetExhausted("the budget of this tenant does not pay for this request")
    return left // ask.price.output if ask.price.output else ask.output_tokens


def _fitting(account: Account, ask: Ask, output: int, now: float) -> int:
    """The most output the minute's tokens leave room for. Raises RateLimitExceeded."""
    most = account.tenant.limits.tokens_per_minute
    if not most:
        return output
    least = ask.input_tokens + min(output, LEAST_TOKENS)
    if least > most:
        raise RateLimitExceeded(
            f"the request needs {least} tokens, and the limit is {most} a minute",
            hint="Send a shorter prompt or ask for fewer tokens; waiting does not help.",
            retry_after=60.0,
        )
    left = most - account.tokens.total(now)
    if left < least:
        raise RateLimitExceeded(
            f"the limit is {most} tokens a minute",
            retry_after=account.tokens.seconds_until(least, most, now),
        )
    return left - ask.input_tokens
