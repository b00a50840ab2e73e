"""One line of a batch: what is asked of which endpoint, and what came of it, in OpenAI's form."""

from __future__ import annotations

from typing import Any

import msgspec

from stoker.errors import InvalidRequest

ENDPOINTS = ("/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/responses")
MAX_ID = 512
"""Characters of a custom_id."""


class BatchLine(msgspec.Struct, frozen=True):
    custom_id: str
    url: str
    body: dict[str, Any]
    method: str = "POST"

    @property
    def model(self) -> str:
        """That the body names; empty when it names none."""
        named = self.body.get("model")
        return named if isinstance(named, str) else ""


class Answered(msgspec.Struct, frozen=True):
    status_code: int
    request_id: str
    body: msgspec.Raw


class Result(msgspec.Struct, frozen=True):
    id: str
    custom_id: str
    response: Answered
    error: None = None


_LINES = msgspec.json.Decoder(BatchLine)


def read_line(text: bytes) -> BatchLine:
    """Raises InvalidRequest. Whether the endpoint takes the body is for the endpoint to say."""
    try:
        line = _LINES.decode(text)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidRequest(f"it is no request of a batch: {error}") from None
    if not 0 < len(line.custom_id) <= MAX_ID:
        raise InvalidRequest(f"'custom_id' needs 1 to {MAX_ID} characters", param="custom_id")
    if line.method != "POST":
        raise InvalidRequest("'method' must be POST", param="method")
    if line.url not in ENDPOINTS:
        raise InvalidRequest(f"'url' must be one of {', '.join(ENDPOINTS)}", param="url")
    if line.body.get("stream"):
        raise InvalidRequest("'stream' has no use in a batch", param="body.stream")
    return line
