"""The limits and budgets of all tenants, as a pure state machine.

Every reservation counts at its worst case from the moment it is granted. So whatever runs at the
same time, what is really used never passes a limit, by not even one token. Times are given:
`now` is monotonic seconds, `wall` is Unix seconds, which only calendar windows look at.
"""

from __future__ import annotations

import heapq
import itertools

import msgspec

from stoker.gateway.ledger import Ask, Grant
from stoker.gateway.limit_refusal import SOON, Refusal, error_of
from stoker.gateway.usage import Usage
from stoker.gateway.windows import MINUTE, LastMinute, kind_of, window_of

LEAST_TOKENS = 256
"""An answer is shortened to what is left, but while waiting would help not below this or what was
asked for: then the client is asked to come back."""


class Account:
    """One tenant's."""

    def __init__(self) -> None:
        self.requests = LastMinute()
        self.tokens = LastMinute()
        self.running = 0
        self.window = ""
        self.allowance: int | None = None
        """The money this process may commit in the window; None: the whole budget."""
        self.spent = 0
        """In this window, settled; in billionths of the currency."""
        self.reserved = 0
        """In this window, not settled yet."""

    @property
    def committed(self) -> int:
        return self.spent + self.reserved

    def turn(self, kind: str, wall: float) -> None:
        """Begins a new window when its time has come. A clock that is set back begins none."""
        window = window_of(kind, wall)
        if kind_of(self.window) != kind or window > self.window:
            self.window, self.spent, self.reserved = window, 0, 0
            if self.allowance is not None:
                self.allowance = 0


class Reservation(msgspec.Struct, frozen=True):
    grant: Grant
    second: int
    """Of the minute's slots."""
    window: str
    worst: int
    """What it can cost at most."""
    expires: float


class Limits:
    """Memory grows with tenants and with open requests only. Limits come with each request, so a
    changed configuration holds from the next one on; what was used stays counted."""

    def __init__(self) -> None:
        self.accounts: dict[str, Account] = {}
        self._open: dict[str, Reservation] = {}
        self._leases: list[tuple[float, str]] = []
        self._numbers = itertools.count(1)

    @property
    def num_open(self) -> int:
        return len(self._open)

    def account(self, ask: Ask, wall: float) -> Account:
        """Of the window that holds `wall`."""
        account = self.accounts.get(ask.tenant.name)
        if account is None:
            account = self.accounts[ask.tenant.name] = Account()
        account.turn(ask.tenant.limits.budget_window, wall)
        return account

    def reserve(self, ask: Ask, now: float, wall: float) -> Reservation:
        """Raises RateLimitExceeded or BudgetExhausted, and then has changed nothing."""
        account = self.account(ask, wall)
        _check_requests(account, ask, now)
        output = _affordable(account, ask)
        output = _fitting(account, ask, output, now)
        worst = ask.price.worst(ask.input_tokens, output)
        account.requests.add(ask.requests, now)
        account.running += 1
        account.reserved += worst
        second = account.tokens.add(ask.input_tokens + output, now)
        name = f"{ask.request_id}.{next(self._numbers)}"
        grant = Grant(ask=ask, output_tokens=output, reservation=name)
        reservation = Reservation(grant, second, account.window, worst, now + ask.seconds)
        self._open[name] = reservation
        self._lease(reservation)
        return reservation

    def settle(self, grant: Grant, usage: Usage) -> bool:
        """Puts what was used in the place of what was reserved. False: it is not open any more, and
        nothing was changed."""
        reservation = self._open.pop(grant.reservation, None)
        if reservation is None:
            return False
        account = self.accounts[grant.ask.tenant.name]
        reserved = grant.ask.input_tokens + grant.output_tokens
        account.tokens.correct(reservation.second, usage.total_tokens - reserved)
        account.running -= 1
        if reservation.window == account.window:
            account.reserved -= reservation.worst
            account.spent += grant.ask.price.cost(usage)
        return True

    def expired(self, now: float) -> list[Reservation]:
        """Settles at their worst case those that nobody settled in time; returns them."""
        found = []
        while self._leases and self._leases[0][0] <= now:
            _, name = heapq.heappop(self._leases)
            reservation = self._open.get(name)
            if reservation is not None:
                self.settle(reservation.grant, worst_usage(reservation.grant))
                found.append(reservation)
        return found

    def _lease(self, reservation: Reservation) -> None:
        """Leases of settled reservations are swept out when they are the greater part."""
        heapq.heappush(self._leases, (reservation.expires, reservation.grant.reservation))
        if len(self._leases) > 2 * len(self._open) + 64:
            self._leases = [(one.expires, name) for name, one in self._open.items()]
            heapq.heapify(self._leases)


def worst_usage(grant: Grant) -> Usage:
    return Usage(input_tokens=grant.ask.input_tokens, output_tokens=grant.output_tokens)


def costs(ask: Ask) -> bool:
    """Whether a budget has a say."""
    return bool(ask.tenant.limits.budget and ask.price.worst(1, 1))


def _check_requests(account: Account, ask: Ask, now: float) -> None:
    limits = ask.tenant.limits
    if limits.concurrency and account.running >= limits.concurrency:
        raise error_of(Refusal.CONCURRENCY, ask, SOON)
    most = limits.requests_per_minute
    if most and account.requests.total(now) + ask.requests > most:
        after = account.requests.seconds_until(ask.requests, most, now)
        raise error_of(Refusal.REQUESTS, ask, after)


def _affordable(account: Account, ask: Ask) -> int:
    """The output, at most what was asked for, that the window's money pays for."""
    if not costs(ask):
        return ask.output_tokens
    budget = ask.tenant.limits.budget
    allowed = budget if account.allowance is None else min(budget, account.allowance)
    left = allowed - account.spent - ask.price.worst(ask.input_tokens, 0)
    later = _tokens_for(left, ask)
    if later < min(ask.output_tokens, 1):
        raise error_of(Refusal.BUDGET, ask)
    now = _tokens_for(left - account.reserved, ask)
    if now < later and now < min(ask.output_tokens, LEAST_TOKENS):
        raise error_of(Refusal.HELD, ask, SOON)
    return now


def _tokens_for(money: int, ask: Ask) -> int:
    """-1: not even the prompt is paid for."""
    if money < 0:
        return -1
    price = ask.price.output
    return min(ask.output_tokens, money // price) if price else ask.output_tokens


def _fitting(account: Account, ask: Ask, output: int, now: float) -> int:
    """The output, at most `output`, that the minute's tokens leave room for."""
    most = ask.tenant.limits.tokens_per_minute
    if not most:
        return output
    least = ask.input_tokens + min(output, LEAST_TOKENS)
    if least > most:
        raise error_of(Refusal.TOO_LONG, ask, MINUTE)
    left = most - account.tokens.total(now)
    if left < least:
        raise error_of(Refusal.TOKENS, ask, account.tokens.seconds_until(least, most, now))
    return min(output, left - ask.input_tokens)
