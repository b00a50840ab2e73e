"""Text without the white space that belongs to the protocol beside it."""

from __future__ import annotations

from collections.abc import Callable


class SpacedText:
    """White space is told once text follows it."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._held = ""
        self._at_start = False

    def push(self, text: str) -> None:
        text = self._held + text
        if self._at_start:
            text = text.lstrip()
        kept = text.rstrip()
        self._held = text[len(kept) :]
        if kept:
            self._at_start = False
            self._tell(kept)

    def drop(self) -> None:
        """Protocol comes next."""
        self._held = ""
        self._at_start = True

    def flush(self) -> None:
        if self._held:
            self._tell(self._held)
            self._held = ""
