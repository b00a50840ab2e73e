"""What is left to do of a file of requests, when some of it is done already."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from stoker.api.batch.line import BatchLine, read_line
from stoker.errors import InvalidRequest


class _Done(msgspec.Struct):
    custom_id: str


_DONE = msgspec.json.Decoder(_Done)


class Survey(msgspec.Struct):
    """Of a file of requests that was looked through before any of it is done."""

    ids: set[str] = msgspec.field(default_factory=set)
    models: set[str] = msgspec.field(default_factory=set)


def survey(lines: Iterable[bytes]) -> Survey:
    """Raises InvalidRequest with the number of the first line that cannot be used."""
    found = Survey()
    for number, line in numbered(lines):
        if line.custom_id in found.ids:
            raise InvalidRequest(f"line {number}: another line has its custom_id")
        found.ids.add(line.custom_id)
        found.models.add(line.model)
    return found


def numbered(lines: Iterable[bytes]) -> Iterator[tuple[int, BatchLine]]:
    """Empty lines are none. Raises InvalidRequest."""
    for number, text in enumerate(lines, 1):
        if text.strip():
            try:
                yield number, read_line(text)
            except InvalidRequest as error:
                raise InvalidRequest(f"line {number}: {error.message}", param=error.param) from None


def finished(lines: Iterable[bytes]) -> tuple[set[str], int]:
    """The requests whose results are there whole, and how many bytes those results take: what
    follows was torn off as it was written. Raises InvalidRequest for what is no list of results."""
    ids: set[str] = set()
    size = 0
    for number, text in enumerate(lines, 1):
        if not text.endswith(b"\n"):
            break
        try:
            ids.add(_DONE.decode(text).custom_id)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            raise InvalidRequest(f"line {number} is no result of a batch") from None
        size += len(text)
    return ids, size
