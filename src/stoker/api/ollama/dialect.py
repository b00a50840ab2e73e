"""How clients of Ollama's interface are spoken to: a stream is lines of JSON."""

from __future__ import annotations

import msgspec

from stoker.api.dialect import Dialect
from stoker.api.errors import ErrorDetail


class OllamaError(msgspec.Struct, frozen=True, kw_only=True):
    error: str
    """With what to do about it: its clients show nothing else."""
    code: str
    """Not Ollama's; so with the next two."""
    param: str | None
    request_id: str


def _error(detail: ErrorDetail, status: int) -> OllamaError:
    return OllamaError(
        error=f"{detail.message} ({detail.hint})" if detail.hint else detail.message,
        code=detail.code,
        param=detail.param,
        request_id=detail.request_id,
    )


OLLAMA = Dialect(
    error=_error,
    error_record=OllamaError,
    stream_type=b"application/x-ndjson",
    failure=b"%b\n",
    waiting=b"",
)
