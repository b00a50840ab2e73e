"""Garbage collection in a process that runs for long. What it made while starting stays, so looking
through that again and again is time that every request waits for: up to 60 ms in a front."""

from __future__ import annotations

import gc

YOUNG_OBJECTS = 5_000
"""Made and not gone before the youngest are looked through: about 0.5 ms."""


def keep_what_was_made() -> None:
    """To be called once, when a process has started: objects made later are collected as ever."""
    gc.collect()
    gc.freeze()
    _, middle, oldest = gc.get_threshold()
    gc.set_threshold(YOUNG_OBJECTS, middle, oldest)
