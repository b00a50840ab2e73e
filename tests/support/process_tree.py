"""Processes below others, and their ends. Zombies have ended: somebody has yet to take note."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path

LONGEST_SECONDS = 60.0


def descendants(pid: int) -> dict[int, str]:
    """Process ids below one, each with its command line."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (found := parent(int(entry.name))):
            parents[int(entry.name)] = found
    every: set[int] = set()
    above = {pid}
    while above:
        above = {one for one, its in parents.items() if its in above}
        every |= above
    return {one: command(one) for one in every}


def parent(pid: int) -> int:
    """0: it has ended."""
    try:
        state, found = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:2]
    except OSError:
        return 0
    return 0 if state == "Z" else int(found)


def command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


def await_end(pids: Iterable[int]) -> None:
    """Fails unless all these processes end."""
    latest = time.monotonic() + LONGEST_SECONDS
    while left := [pid for pid in pids if parent(pid)]:
        assert time.monotonic() < latest, left
        time.sleep(0.01)
