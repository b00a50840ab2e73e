"""The requests of an uploaded file, and what is wrong with its lines."""

from __future__ import annotations

from collections.abc import AsyncIterator

from stoker.api.batch.line import BatchLine, read_line
from stoker.errors import InvalidRequest
from stoker.gateway.batches.records import LineError


async def lines_of(
    parts: AsyncIterator[bytes], endpoint: str, most: int
) -> AsyncIterator[tuple[int, BatchLine | LineError]]:
    """Numbered from 1; empty lines are none. Ends after the first line too many."""
    seen: set[str] = set()
    number = 0
    async for text in _split(parts):
        number += 1
        if not text.strip():
            continue
        if len(seen) == most:
            message = f"a batch has at most {most} requests"
            yield number, LineError(code="too_many_lines", message=message, line=number)
            return
        line = _checked(text, number, endpoint, seen)
        if isinstance(line, BatchLine):
            seen.add(line.custom_id)
        yield number, line


def _checked(text: bytes, number: int, endpoint: str, seen: set[str]) -> BatchLine | LineError:
    try:
        line = read_line(text)
    except InvalidRequest as error:
        return LineError(code="invalid_line", message=error.message, line=number, param=error.param)
    if line.custom_id in seen:
        return LineError(
            code="duplicate_custom_id", message="another line has it", line=number,
            param="custom_id",
        )  # fmt: skip
    if line.url != endpoint:
        return LineError(
            code="mismatched_url", message=f"the batch is for {endpoint}", line=number, param="url"
        )
    return line


async def _split(parts: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    rest = b""
    async for part in parts:
        *lines, rest = (rest + part).split(b"\n")
        for line in lines:
            yield line
    if rest:
        yield rest
