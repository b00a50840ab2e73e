"""What must be as it was after a test: child processes, descriptors, sockets, tasks (I13)."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path


def children() -> set[int]:
    """Process ids whose parent is this process, zombies included."""
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[1]) == os.getpid():
                found.add(int(entry.name))
    return found


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def socket_folders() -> set[str]:
    return {path.name for path in Path(tempfile.gettempdir()).glob(f"stoker-{os.getpid()}-*")}


def snapshot() -> tuple[set[int], int, set[str]]:
    return children(), descriptors(), socket_folders()


@asynccontextmanager
async def nothing_left_behind() -> AsyncIterator[None]:
    before = snapshot()
    yield
    await asyncio.sleep(0)  # closed transports give their descriptors back in the next turn
    await asyncio.sleep(0)
    assert snapshot() == before
    assert asyncio.all_tasks() == {asyncio.current_task()}
