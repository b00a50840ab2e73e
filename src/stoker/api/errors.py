"""An error of the tree as an HTTP answer, or as the event that ends a failed stream.

A 5xx never repeats what went wrong inside: its body is one of a few fixed sentences and the
request id, under which the log has the rest (see observe/logs.py).
"""

from __future__ import annotations

import math

import msgspec

from stoker import errors
from stoker.errors import InternalError, StokerError

Headers = list[tuple[bytes, bytes]]

SENTENCES = {
    "no_capacity": "No engine is ready to take this request.",
    "draining": "The server is shutting down.",
    "loading": "The model is still loading.",
    "replica_lost": "The engine serving this request was lost.",
    "backend_failed": "A server that this one relies on failed to answer.",
    "deadline_exceeded": "The time allowed for this request has passed.",
    "numerical_error": "The model produced a value that is not a number.",
    "internal": "The server failed to serve this request.",
}
"""Every sentence a 5xx body can hold, by code."""

JSON = (b"content-type", b"application/json")


class ErrorDetail(msgspec.Struct, frozen=True, kw_only=True):
    message: str
    type: str
    param: str | None
    code: str
    hint: str | None
    request_id: str


class ErrorBody(msgspec.Struct, frozen=True):
    error: ErrorDetail


def error_body(error: StokerError, request_id: str) -> bytes:
    """The JSON object with the one key `error`."""
    return msgspec.json.encode(ErrorBody(public_detail(error, request_id)))


def public_detail(error: StokerError, request_id: str) -> ErrorDetail:
    """All that a client may know of it, in whatever form it is then told."""
    shown = _public(error)
    inside = error.status >= 500
    return ErrorDetail(
        message=SENTENCES[shown.code] if inside else error.message,
        type=shown.type,
        param=None if inside else error.param,
        code=shown.code,
        hint=(shown.default_hint if inside else error.hint) or None,
        request_id=request_id,
    )


def error_headers(error: StokerError, *, close: bool = False) -> Headers:
    """Tells clients whether and when to try again; the official ones obey both."""
    headers = [JSON, (b"x-should-retry", b"true" if error.retry else b"false")]
    if error.retry_after is not None or isinstance(error, errors.CapacityError):
        seconds = max(1, math.ceil(error.retry_after or 1.0))
        headers.append((b"retry-after", str(seconds).encode()))
    if error.status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    if close or closes(error):
        headers.append((b"connection", b"close"))
    return headers


def closes(error: StokerError) -> bool:
    """Whether the connection cannot be trusted, or should not be used, after this answer."""
    return isinstance(
        error,
        errors.RequestTimeout
        | errors.PayloadTooLarge
        | errors.UnsupportedMediaType
        | errors.MisdirectedHost
        | errors.HeadersTooLarge
        | errors.Draining,
    )


def error_named(code: str | None) -> StokerError:
    """The error an engine reported by its code. An unknown code is a defect of ours."""
    return _BY_CODE.get(code or "", InternalError)(_WORDS.get(code or "", code or ""))


def _public(error: StokerError) -> type[StokerError]:
    """Set-up errors and codes without a sentence have no business on the wire."""
    if error.status >= 500 and error.code not in SENTENCES:
        return InternalError
    return type(error)


def _leaves(root: type[StokerError]) -> dict[str, type[StokerError]]:
    found = {root.code: root}
    for child in root.__subclasses__():
        found.update(_leaves(child))
    return found


_BY_CODE: dict[str, type[StokerError]] = {
    **_leaves(errors.CapacityError),
    **_leaves(errors.ServingError),
    errors.ContextLengthExceeded.code: errors.ContextLengthExceeded,
    errors.UnsupportedConstraint.code: errors.UnsupportedConstraint,
    InternalError.code: InternalError,
}

_WORDS = {
    errors.UnsupportedConstraint.code: "the answer went over the limits of what can be constrained"
}
"""For codes of refusals, which say what is wrong, where an engine says no more than the code."""
