"""Cuts a stream of text at the first stop string, holding back what may become one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class StopResult(NamedTuple):
    text: str
    """Safe to deliver: cannot be part of a stop string any more."""
    matched: str | None = None
    """The stop string found. Nothing follows it."""


class StopMatcher:
    """The delivered text is the whole text cut before the stop that begins first; of those that
    begin together, the longest-listed first. Work is linear in the text for a bounded number of
    stops of bounded length."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = [stop for stop in stops if stop]
        self._longest = max(map(len, self._stops), default=0)
        self._held = ""

    def push(self, text: str) -> StopResult:
        if not self._stops:
            return StopResult(text)
        self._held += text
        first, found = self._first_match()
        pending = self._first_pending()
        if found is not None and first <= pending:
            delivered, self._held = self._held[:first], ""
            return StopResult(delivered, found)
        delivered, self._held = self._held[:pending], self._held[pending:]
        return StopResult(delivered)

    def flush(self) -> str:
        """The held-back tail, when the stream ends without a stop."""
        tail, self._held = self._held, ""
        first, found = self._match_in(tail)
        return tail if found is None else tail[:first]

    def _first_match(self) -> tuple[int, str | None]:
        return self._match_in(self._held)

    def _match_in(self, text: str) -> tuple[int, str | None]:
        best: tuple[int, str | None] = (len(text), None)
        for stop in self._stops:
            at = text.find(stop)
            if at >= 0 and (best[1] is None or at < best[0]):
                best = (at, stop)
        return best

    def _first_pending(self) -> int:
        """Where the earliest tail begins that could still grow into a stop string."""
        start = max(0, len(self._held) - self._longest + 1)
        for at in range(start, len(self._held)):
            tail = self._held[at:]
            if any(len(stop) > len(tail) and stop.startswith(tail) for stop in self._stops):
                return at
        return len(self._held)
