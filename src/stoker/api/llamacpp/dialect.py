"""How clients of llama.cpp's server are spoken to."""

from __future__ import annotations

import msgspec

from stoker.api.dialect import Dialect
from stoker.api.errors import ErrorDetail

TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    503: "unavailable_error",
}
"""By status; its other 4xx are invalid_request_error, its other 5xx server_error."""


class LlamaCppError(msgspec.Struct, frozen=True, kw_only=True):
    code: int
    """The status."""
    type: str
    message: str
    name: str
    """Our code of it. Not llama.cpp's; so with the next three."""
    param: str | None
    hint: str | None
    request_id: str


class LlamaCppErrorBody(msgspec.Struct, frozen=True):
    error: LlamaCppError


def _error(detail: ErrorDetail, status: int) -> LlamaCppErrorBody:
    kind = TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error")
    return LlamaCppErrorBody(
        LlamaCppError(
            code=status,
            type=kind,
            message=detail.message,
            name=detail.code,
            param=detail.param,
            hint=detail.hint,
            request_id=detail.request_id,
        )
    )


LLAMACPP = Dialect(error=_error, error_record=LlamaCppErrorBody)
