"""What comes back from an engine: tokens, and exactly one ending."""

from __future__ import annotations

import enum

import msgspec

from stoker.core.ids import RequestId, TokenId


class FinishReason(enum.Enum):
    """The one terminal outcome of a sequence."""

    STOP = "stop"
    """An end-of-sequence or stop token, which is not part of the output."""
    LENGTH = "length"
    CANCELLED = "cancelled"
    DEADLINE = "deadline"
    ERROR = "error"


class TokenLogprobs(msgspec.Struct, frozen=True, array_like=True):
    """Log probability of one token, and of the most likely alternatives, best first."""

    token_id: TokenId
    logprob: float
    rank: int
    """1 is the most likely."""
    top: tuple[tuple[TokenId, float], ...] = ()


class Finish(msgspec.Struct, frozen=True):
    reason: FinishReason
    stop_token_id: TokenId | None = None
    error_code: str | None = None
    """`code` of a class in errors.py when the reason is ERROR."""
    deaths: int = 0
    """With 'replica_lost': how many engines died, one after the other, in a step that this sequence
    was part of, and so perhaps of it."""


class TokenDelta(msgspec.Struct, frozen=True, omit_defaults=True):
    """New tokens of one sequence since the last delta. The last one carries `finish`."""

    request_id: RequestId
    token_ids: tuple[TokenId, ...] = ()
    logprobs: tuple[TokenLogprobs, ...] = ()
    """Parallel to `token_ids` when log probabilities were asked for, else empty."""
    prompt_logprobs: tuple[TokenLogprobs, ...] = ()
    """For prompt tokens 1.. (the first has none), in order, as they are computed."""
    num_cached_tokens: int = 0
    """Prompt tokens found in the prefix cache; set on the first delta."""
    queued_seconds: float = 0.0
    """How long the request waited before its first step; set on the first delta."""
    pooled: bytes = b""
    """The vector of a request with `pooling`: little-endian float32; with `finish`."""
    finish: Finish | None = None
