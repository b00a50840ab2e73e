"""Reads an event stream in pieces, wherever it was cut, and holds no more than one event."""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

LONGEST_EVENT = 1024 * 1024
_LINE_END = re.compile(rb"\r\n|\n|\r(?!\Z)")
"""A carriage return at the end of what is there may be half of a line's end."""


class ServerEvent(msgspec.Struct, frozen=True):
    name: str
    """Empty unless the server named it."""
    data: bytes


class ServerEvents:
    def __init__(self) -> None:
        self._rest: list[bytes] = []
        """The line that has not ended, in the pieces it came in."""
        self._name = b""
        self._data: list[bytes] = []
        self._held = 0

    def feed(self, piece: bytes) -> Iterator[ServerEvent]:
        """The events that are whole now; one that never ends is dropped with the stream. Raises
        ValueError when one is longer than LONGEST_EVENT."""
        self._rest.append(piece)
        self._held += len(piece)
        if b"\n" in piece or b"\r" in piece or self._rest[0] == b"\r":
            *lines, rest = _LINE_END.split(b"".join(self._rest))
            self._rest = [rest]
            for line in lines:
                if line:
                    self._line(line)
                else:
                    yield from self._ended(len(rest))
        if self._held > LONGEST_EVENT:
            raise ValueError("an event is too long")

    def _line(self, line: bytes) -> None:
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            self._data.append(value)
        elif field == b"event":
            self._name = value

    def _ended(self, left: int) -> Iterator[ServerEvent]:
        data, name = b"\n".join(self._data), self._name.decode(errors="replace")
        found = bool(self._data)
        self._data, self._name = [], b""
        self._held = left
        if found:
            yield ServerEvent(name, data)
