"""Tells reasoning, text and tool calls of one answer apart, delta by delta."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from stoker.api.assembler import TextDelta
from stoker.text.calls.pieces import CallBegun, Content, Piece
from stoker.text.calls.protocol import Reading

TOOL_CALLS = "tool_calls"


class AnswerParts:
    def __init__(self, reading: Reading) -> None:
        self._reader = reading.reader()
        self._most_calls = reading.most_calls
        self._calls = 0

    def read(self, delta: TextDelta) -> TextDelta:
        """The delta with its parts; its text is that of the content alone."""
        parts = self._reader.push(delta.text)
        if delta.finish_reason is not None:
            parts += self._reader.end()
        told = self._told(parts)
        called = delta.finish_reason == "stop" and self._calls and not delta.stop
        return msgspec.structs.replace(
            delta,
            text="".join(part.text for part in told if isinstance(part, Content)),
            parts=tuple(told),
            finish_reason=TOOL_CALLS if called else delta.finish_reason,
        )

    def _told(self, parts: Sequence[Piece]) -> list[Piece]:
        told: list[Piece] = []
        for part in parts:
            self._calls += isinstance(part, CallBegun)
            if self._calls <= self._most_calls:
                told.append(part)
        return told
