"""How the clients of one interface are spoken to, whatever they ask: the frame of a stream, and the
form of an error. Data, so that what makes a stream safe is written once (sse.py, answer.py)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from stoker.api.errors import ErrorBody, ErrorDetail, public_detail
from stoker.errors import StokerError


@dataclass(frozen=True, kw_only=True)
class Dialect:
    error: Callable[[ErrorDetail, int], msgspec.Struct]
    """What a client may know, and the status, in this interface's form."""
    error_record: type[msgspec.Struct]
    """What `error` makes."""
    stream_type: bytes = b"text/event-stream; charset=utf-8"
    failure: bytes = b"data: %b\n\n"
    """The event that ends a failed stream, around the JSON of an error."""
    end: bytes = b""
    """What follows the last event of a whole answer, and of no other."""
    waiting: bytes = b": waiting\n\n"
    """Written in silence; empty where clients would take anything for data."""
    id_header: bytes | None = None
    """Where its clients look for the request id, besides x-request-id."""

    def error_body(self, error: StokerError, request_id: str) -> bytes:
        return msgspec.json.encode(self.error(public_detail(error, request_id), error.status))


OPENAI = Dialect(
    error=lambda detail, status: ErrorBody(detail),
    error_record=ErrorBody,
    end=b"data: [DONE]\n\n",
)
"""Also of all that is only ours."""
