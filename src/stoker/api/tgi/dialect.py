"""How clients of text-generation-inference are spoken to."""

from __future__ import annotations

import msgspec

from stoker.api.dialect import Dialect
from stoker.api.errors import ErrorDetail


class TgiError(msgspec.Struct, frozen=True, kw_only=True):
    error: str
    """With what to do about it: its clients show nothing else."""
    error_type: str
    code: str
    """Not TGI's; so with the next two."""
    param: str | None
    request_id: str


def _error(detail: ErrorDetail, status: int) -> TgiError:
    return TgiError(
        error=f"{detail.message} ({detail.hint})" if detail.hint else detail.message,
        error_type=_kind(status),
        code=detail.code,
        param=detail.param,
        request_id=detail.request_id,
    )


def _kind(status: int) -> str:
    if status in (429, 503):
        return "overloaded"
    return "validation" if status < 500 else "generation"


TGI = Dialect(error=_error, error_record=TgiError)
