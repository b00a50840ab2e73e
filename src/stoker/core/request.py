"""What an engine is asked to do: one sequence of tokens to continue, or to make a vector of."""

from __future__ import annotations

import msgspec

from stoker.core.adapter import BASE
from stoker.core.constraint import Constraint
from stoker.core.ids import RequestId, TokenId
from stoker.core.pooling import Pooling
from stoker.core.sampling import SamplingParams


class Request(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One sequence. A client's `n > 1` is several of these with different seeds.

    `output_token_ids` is non-empty only when a stream is resumed after its engine died: these
    tokens were already delivered, count against `max_tokens`, and are not delivered again.
    """

    request_id: RequestId
    prompt_token_ids: tuple[TokenId, ...]
    sampling: SamplingParams
    output_token_ids: tuple[TokenId, ...] = ()
    constraint: Constraint | None = None
    """What the whole output must look like."""
    pooling: Pooling | None = None
    """The result is a vector, and no token. `sampling` then says nothing but `max_tokens` 1."""
    second_part: int | None = None
    """Where the second text of a pair begins, for models that tell the two apart."""
    adapter: str = BASE
    """Key of the adapter that computes it, which the engine must have loaded."""
    tenant: str = ""
    """Fairness and prefix-cache isolation are per tenant."""
    session: str = ""
    """What a client says belongs together, for those who choose a replica."""
    priority: int = 0
    """Lower runs first."""
    timeout: float | None = None
    """Seconds this request may still take, measured from its arrival at the engine."""

    @property
    def num_prompt_tokens(self) -> int:
        return len(self.prompt_token_ids)

    @property
    def max_total_tokens(self) -> int:
        """The longest this sequence can become; what admission has to find room for."""
        new = 0 if self.pooling is not None else self.sampling.max_tokens
        return len(self.prompt_token_ids) + new
