"""Bounds what a connection may send that is not content: heads, chunk sizes, trailers, empty lines.

The parser reports a header once it is whole and chunk extensions never, so that one without an end
would be taken in for as long as the time limit allows, at the speed of the network.
"""

from __future__ import annotations

from stoker.errors import HeadersTooLarge

PER_CONTENT_BYTE = 8
"""A body in chunks of one byte each needs five."""


class FramingBudget:
    """Bytes are counted in the pieces in which they arrive, and only pieces that hold nothing but
    the inside of one head or one body: the rest is bounded by the size of a read."""

    def __init__(self, header_bytes: int) -> None:
        self._header_bytes = header_bytes
        self._framing = 0
        self._content = 0
        self._whole_piece = True

    def turn(self) -> None:
        """A head or a body is complete."""
        self._framing = self._content = 0
        self._whole_piece = False

    def content(self, size: int) -> None:
        """Part of the piece was content of a body."""
        self._content += size
        self._framing -= size

    def begin_piece(self) -> None:
        self._whole_piece = True

    def end_piece(self, size: int) -> None:
        """The piece was parsed. Raises HeadersTooLarge."""
        if not self._whole_piece:
            self._framing = self._content = 0
            return
        self._framing += size
        if self._framing > self._header_bytes + PER_CONTENT_BYTE * self._content:
            raise HeadersTooLarge("the request is more framing than content")
