"""A suite of others: what it is, and how it is run against our server."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.compat.record import Record
from benchmarks.compat.workplace import Workplace


@dataclass(frozen=True, slots=True)
class Suite:
    name: str
    """Of its environment, its requirements, its scope and its result."""
    title: str
    about: str
    """A sentence for the page: what is run."""
    run: Callable[[Workplace], Record]
