"""Running totals of a scheduler, for metrics."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Counters:
    preemptions: int = 0
    prefix_queried: int = 0
    prefix_hits: int = 0
    prompt_tokens: int = 0
    output_tokens: int = 0
    drafted_tokens: int = 0
    """Guesses that were computed."""
    accepted_tokens: int = 0
    """Guesses that were right."""
