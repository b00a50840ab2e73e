"""What processes use, as Linux counts it. Processor time tells on a busy machine, too."""

from __future__ import annotations

import os
from collections import defaultdict
from pathlib import Path

_PROC = Path("/proc")
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
# Fields of /proc/PID/stat after the command's name, which may hold anything.
_PARENT, _USER, _SYSTEM, _RESIDENT = 1, 11, 12, 21


def cpu_seconds(pid: int) -> float:
    """Of a process and its children that live, and of those it has waited for."""
    stats = _tree(pid)
    return sum(int(one[_USER]) + int(one[_SYSTEM]) for one in stats) / _TICKS


def resident_bytes(pid: int) -> int:
    """The same of memory; pages that several of them share count for each."""
    return sum(int(one[_RESIDENT]) for one in _tree(pid)) * _PAGE


def _tree(pid: int) -> list[list[str]]:
    stats = {int(path.name): stat for path in _PROC.glob("[0-9]*") if (stat := _stat(path))}
    children: dict[int, list[int]] = defaultdict(list)
    for child, stat in stats.items():
        children[int(stat[_PARENT])].append(child)
    found, ahead = [], [pid]
    while ahead:
        one = ahead.pop()
        if one in stats:
            found.append(stats[one])
        ahead += children[one]
    return found


def _stat(path: Path) -> list[str] | None:
    try:
        return (path / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None  # it has just ended
