"""From another server's status to an error of ours, and to what it says about that server."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime

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
    after = _retry_after(headers)
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
    """A refused key, an unpaid bill or a redirect is the backend's failure: none of its answers can
    be had. A wrong model name or a limit is not."""
    if status in (404, 408, 429, _OVERLOADED):
        return Outcome.UNKNOWN
    if status in (401, 402, 403, 407) or not 400 <= status < 500:
        return Outcome.FAILED
    return Outcome.ANSWERED


def _request_error(said: Complaint, secret: str | None) -> StokerError:
    message = cleaned(said.message, secret) or "the backend does not take this request"
    if said.code in ("context_length_exceeded", "exceed_context_size_error"):
        return ContextLengthExceeded(message)
    return InvalidRequest(message)


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds. A date counts from the answer's own, so that no two clocks need to agree."""
    value = headers.get("retry-after", "")
    if value.isascii() and value.isdecimal():
        return min(float(value), LONGEST_WAIT)
    until, sent = _moment(value), _moment(headers.get("date", ""))
    if until is None or sent is None:
        return None
    return min(max((until - sent).total_seconds(), 0.0), LONGEST_WAIT)


def _moment(value: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(value)
    except ValueError:
        return None
    return found if found.tzinfo else None
