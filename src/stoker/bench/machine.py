"""The machine a figure was measured on; a figure without one means nothing."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import msgspec

from stoker import __version__


class Machine(msgspec.Struct, frozen=True):
    cpu: str
    cores: int
    """Cores this process may use."""
    memory_gib: float
    system: str
    python: str
    stoker: str


def this_machine() -> Machine:
    return Machine(
        cpu=_field(Path("/proc/cpuinfo"), "model name") or platform.processor() or "unknown",
        cores=usable_cores(),
        memory_gib=round(memory_bytes() / 2**30, 1),
        system=f"{platform.system()} {platform.machine()}",
        python=platform.python_version(),
        stoker=__version__,
    )


def usable_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def memory_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def last_level_cache_bytes() -> int:
    """Of the first core, as Linux says; 0 where it does not."""
    folder = Path("/sys/devices/system/cpu/cpu0/cache")
    sizes = [path.read_text(encoding="utf-8").strip() for path in folder.glob("index*/size")]
    return max((int(size[:-1]) * 1024 for size in sizes if size.endswith("K")), default=0)


def cpu_flags() -> frozenset[str]:
    """Instruction-set flags as Linux names them; empty elsewhere."""
    text = _field(Path("/proc/cpuinfo"), "flags") or _field(Path("/proc/cpuinfo"), "Features")
    return frozenset((text or "").split())


def _field(path: Path, name: str) -> str | None:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    for line in lines:
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return None
