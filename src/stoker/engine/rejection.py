"""Why an engine does not take a request, on its way to the front."""

from __future__ import annotations

from stoker import errors
from stoker.core.request import Request
from stoker.engine.frames import Rejected

_KINDS: dict[str, type[errors.StokerError]] = {
    kind.code: kind
    for kind in (
        errors.ContextLengthExceeded,
        errors.InvalidRequest,
        errors.ModelNotFound,
        errors.Overloaded,
        errors.UnsupportedConstraint,
    )
}


def rejected(request: Request, error: errors.StokerError) -> Rejected:
    """What a client may not be told is told to nobody."""
    told = isinstance(error, errors.RequestError) or error.retry
    message = error.message if told else "internal"
    return Rejected(request.request_id, error.code, message, error.retry_after)


def error_of(frame: Rejected) -> errors.StokerError:
    kind = _KINDS.get(frame.code, errors.InternalError)
    return kind(frame.message, retry_after=frame.retry_after)
