"""From another server's status to an error of ours, and to what it says about that server."""

from __future__ import annotations

from collections.abc import Mapping

from stoker.errors import (
    BackendFailed,
    ContextLengthExceeded,
    InvalidRequest,
    NoCapacity,
    Overloaded,
    PayloadTooLarge,
    StokerError,
)
from stoker.gateway.upstream.breaker import Outcome
from stoker.gateway.upstream.cleaned_text import Complaint, cleaned

LONGEST_WAIT = 3600.0
_OVERLOADED = 529
"""Anthropic's."""


def refusal_of(
    backend: str, status: int, headers: Mapping[str, str], said: Complaint, secret: str | None
) -> StokerError:
    """Only what is about the client's request is told in the server's words."""
    after = _retry_after(headers.get("retry-after"))
    if status in (429, _OVERLOADED):
        return Overloaded(f"the backend '{backend}' is at its limit", retry_after=after)
    if status == 503:
        return NoCapacity(f"the backend '{backend}' is not ready", retry_after=after)
    if status in (400, 422):
        return _request_error(said, secret)
    if status == 413:
        return PayloadTooLarge("the body is larger than the backend takes")
    return BackendFailed(f"the backend '{backend}' answered {status}")


def outcome_of(status: int) -> Outcome:
    """A refused key is the backend's failure: none of its answers can be had. A wrong model name or
    a limit is not."""
    if status in (401, 403, 407) or (status >= 500 and status != _OVERLOADED):
        return Outcome.FAILED
    return Outcome.UNKNOWN if status in (404, 408, 429, _OVERLOADED) else Outcome.ANSWERED


def _request_error(said: Complaint, secret: str | None) -> StokerError:
    message = cleaned(said.message, secret) or "the backend does not take this request"
    if said.code in ("context_length_exceeded", "exceed_context_size_error"):
        return ContextLengthExceeded(message)
    return InvalidRequest(message)


def _retry_after(value: str | None) -> float | None:
    """Seconds; a date is not read."""
    if value is None or not (value.isascii() and value.isdecimal()):
        return None
    return min(float(value), LONGEST_WAIT)
