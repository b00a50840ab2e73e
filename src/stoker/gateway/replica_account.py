"""What a pool knows of one replica from what it sent there and what came back.

Load is counted from dispatch to the end of the stream, not to the first token: counters that were
let go early are how balancers overload a replica (sglang #9484). Pure: times are given.
"""

from __future__ import annotations

from stoker.core.output import TokenDelta
from stoker.core.request import Request
from stoker.gateway.balance.interface import ReplicaView

SMOOTHING = 0.2
"""Weight of the newest measurement of a rate."""
FIRST_PREFILL_RATE = 1000.0
FIRST_DECODE_RATE = 100.0


class Dispatched:
    """One request at the replica."""

    __slots__ = ("_account", "_last", "_sent", "begun", "expected", "prompt_tokens")

    def __init__(self, account: ReplicaAccount, request: Request, now: float) -> None:
        self._account = account
        self.prompt_tokens = request.num_prompt_tokens + len(request.output_token_ids)
        self.expected = request.sampling.max_tokens - len(request.output_token_ids)
        self.begun = False
        self._sent = self._last = now

    def took(self, delta: TokenDelta, now: float) -> None:
        if not delta.token_ids:
            return
        account, count = self._account, len(delta.token_ids)
        if self.begun:
            account.decoded(count, now - self._last)
        else:
            self.begun = True
            fresh = self.prompt_tokens - delta.num_cached_tokens
            account.prefilled(self.prompt_tokens, fresh, now - self._sent - delta.queued_seconds)
        self._last = now


class ReplicaAccount:
    def __init__(self, replica_id: str) -> None:
        self._replica_id = replica_id
        self._prefill_rate = FIRST_PREFILL_RATE
        self._decode_rate = FIRST_DECODE_RATE
        self._queued_prefill = 0
        self._decode_tokens = 0
        self._in_flight = 0
        self._last_used = 0.0

    @property
    def view(self) -> ReplicaView:
        return ReplicaView(
            replica_id=self._replica_id,
            prefill_rate=self._prefill_rate,
            decode_rate=self._decode_rate,
            queued_prefill_tokens=self._queued_prefill,
            active_decode_tokens=self._decode_tokens,
            in_flight=self._in_flight,
            last_used=self._last_used,
        )

    def dispatched(self, request: Request, now: float) -> Dispatched:
        entry = Dispatched(self, request, now)
        self._queued_prefill += entry.prompt_tokens
        self._decode_tokens += entry.expected
        self._in_flight += 1
        self._last_used = now
        return entry

    def prefilled(self, prompt_tokens: int, fresh: int, seconds: float) -> None:
        self._queued_prefill -= prompt_tokens
        if seconds > 0 and fresh > 0:
            self._prefill_rate += SMOOTHING * (fresh / seconds - self._prefill_rate)

    def decoded(self, count: int, seconds: float) -> None:
        """One stream's tokens; the replica gives as many to each of its streams meanwhile."""
        if seconds > 0:
            rate = count * self._in_flight / seconds
            self._decode_rate += SMOOTHING * (rate - self._decode_rate)

    def ended(self, entry: Dispatched) -> None:
        """Whatever the request still counted for is given back."""
        if not entry.begun:
            self._queued_prefill -= entry.prompt_tokens
        self._decode_tokens -= entry.expected
        self._in_flight -= 1
