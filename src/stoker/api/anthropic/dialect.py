"""How clients of Anthropic's interface are spoken to."""

from __future__ import annotations

from typing import Literal

import msgspec

from stoker.api.dialect import Dialect
from stoker.api.errors import ErrorDetail

TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
}
"""By status; its other 4xx are invalid_request_error, its other 5xx api_error."""


class AnthropicError(msgspec.Struct, frozen=True, kw_only=True):
    type: str
    message: str
    code: str
    """Not Anthropic's; so with the next two."""
    param: str | None
    hint: str | None


class AnthropicErrorBody(msgspec.Struct, frozen=True, kw_only=True):
    type: Literal["error"] = "error"
    error: AnthropicError
    request_id: str


def _error(detail: ErrorDetail, status: int) -> AnthropicErrorBody:
    kind = TYPES.get(status, "api_error" if status >= 500 else "invalid_request_error")
    error = AnthropicError(
        type=kind,
        message=detail.message,
        code=detail.code,
        param=detail.param,
        hint=detail.hint,
    )
    return AnthropicErrorBody(error=error, request_id=detail.request_id)


ANTHROPIC = Dialect(
    error=_error,
    error_record=AnthropicErrorBody,
    failure=b"event: error\ndata: %b\n\n",
    waiting=b'event: ping\ndata: {"type":"ping"}\n\n',
    id_header=b"request-id",
)
