"""What a pool knows of one replica from what it sent there and what came back.

Load is counted from dispatch to the end of the stream, not to the first token: counters that were
let go early are how balancers overload a replica (sglang #9484). Pure: times are given.
"""

from __future__ import annotations

import math

from stoker.core.output import TokenDelta
from stoker.core.request import Request
from stoker.gateway.balance.interface import ReplicaView
from stoker.gateway.balance.measured_rate import MeasuredRate, ReplicaRate

FIRST_PREFILL_RATE = 1000.0
FIRST_DECODE_RATE = 100.0
LEAST_SHARE = 0.25
RAMP_SECONDS = 5.0
"""One that came back has nothing cached and cold memory: its share grows for so long."""


class Dispatched:
    """One request at the replica. `uncached` and `expected` are what it counts for: prompt tokens
    until its first token, and new tokens that are still to come."""

    __slots__ = ("_account", "_last", "_sent", "begun", "expected", "num_output", "uncached")

    def __init__(self, account: ReplicaAccount, uncached: int, expected: int, now: float) -> None:
        self._account = account
        self.uncached = uncached
        self.expected = expected
        self.num_output = 0
        self.begun = False
        self._sent = self._last = now

    def took(self, request: Request, delta: TokenDelta, now: float) -> None:
        if not delta.token_ids:
            return
        account, count = self._account, len(delta.token_ids)
        if self.begun:
            account.decoded(count, now - self._last)
        else:
            self.begun = True
            prompt = request.num_prompt_tokens + len(request.output_token_ids)
            seconds = now - self._sent - delta.queued_seconds
            account.prefilled(self.uncached, prompt - delta.num_cached_tokens, seconds)
        self.num_output += count
        came = min(count, self.expected)
        self.expected -= came
        account.came(came)
        self._last = now

    def ended(self) -> None:
        """Whatever it still counted for is given back."""
        self._account.ended(self)


class PoolRates:
    """How fast the replicas of a pool are, taken together."""

    def __init__(self) -> None:
        self.prefill = MeasuredRate(FIRST_PREFILL_RATE)
        self.decode = MeasuredRate(FIRST_DECODE_RATE)


class ReplicaAccount:
    def __init__(self, replica_id: str, pool: PoolRates) -> None:
        self._replica_id = replica_id
        self._prefill_rate = ReplicaRate(pool.prefill)
        self._decode_rate = ReplicaRate(pool.decode)
        self._queued_prefill = 0
        self._decode_tokens = 0
        self._in_flight = 0
        self._last_used = 0.0
        self._back_since = -math.inf

    @property
    def in_flight(self) -> int:
        return self._in_flight

    def came_back(self, now: float) -> None:
        """It was lost or silent, and is ready again."""
        self._back_since = now

    def view(self, now: float) -> ReplicaView:
        return ReplicaView(
            replica_id=self._replica_id,
            prefill_rate=self._prefill_rate.per_second,
            decode_rate=self._decode_rate.per_second,
            queued_prefill_tokens=self._queued_prefill,
            active_decode_tokens=self._decode_tokens,
            in_flight=self._in_flight,
            last_used=self._last_used,
            weight=min(1.0, LEAST_SHARE + (now - self._back_since) / RAMP_SECONDS),
        )

    def dispatched(
        self, request: Request, cached_tokens: int, output_tokens: int, now: float
    ) -> Dispatched:
        """`cached_tokens` of the prompt are believed to be there; the answer is expected to have
        `output_tokens`."""
        prompt = request.num_prompt_tokens + len(request.output_token_ids)
        entry = Dispatched(self, max(1, prompt - cached_tokens), output_tokens, now)
        self._queued_prefill += entry.uncached
        self._decode_tokens += entry.expected
        self._in_flight += 1
        self._last_used = now
        return entry

    def prefilled(self, counted: int, computed: int, seconds: float) -> None:
        """A prompt that counted for so many tokens is done; so many were computed."""
        self._queued_prefill -= counted
        self._prefill_rate.add(computed, seconds)

    def decoded(self, count: int, seconds: float) -> None:
        """One stream's tokens; the replica gives as many to each of its streams meanwhile."""
        self._decode_rate.add(count * self._in_flight, seconds)

    def came(self, count: int) -> None:
        """Of the tokens that were expected."""
        self._decode_tokens -= count

    def ended(self, entry: Dispatched) -> None:
        """Whatever the request still counted for is given back."""
        if not entry.begun:
            self._queued_prefill -= entry.uncached
        self._decode_tokens -= entry.expected
        self._in_flight -= 1
