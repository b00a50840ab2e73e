"""'30s' or '2 GiB' as the number a key wants, for the hint to somebody who wrote the unit."""

from __future__ import annotations

import re

_FACTORS: dict[str, dict[str, float]] = {
    "seconds": {"ms": 0.001, "s": 1, "sec": 1, "second": 1, "seconds": 1, "m": 60, "min": 60,
                "minute": 60, "minutes": 60, "h": 3600, "hour": 3600, "hours": 3600, "d": 86400},
    "milliseconds": {"ms": 1, "s": 1000, "sec": 1000, "seconds": 1000},
    "MiB": {"mib": 1, "gib": 1024, "tib": 1024 * 1024, "mb": 1e6 / 2**20, "gb": 1e9 / 2**20,
            "m": 1, "g": 1024},
    "bytes": {"b": 1, "bytes": 1, "kib": 1024, "mib": 2**20, "gib": 2**30, "kb": 1e3, "mb": 1e6,
              "gb": 1e9, "k": 1024, "m": 2**20, "g": 2**30},
    "a minute": {"/min": 1, "/minute": 1, "rpm": 1, "tpm": 1, "/s": 60, "k": 1000},
}  # fmt: skip
_TEXT = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-z/]+)\s*", re.IGNORECASE)


def converted(value: object, unit: str) -> float | None:
    """None when the value is not a number with a unit that can be turned into `unit`."""
    found = _TEXT.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        return None
    factor = _FACTORS.get(unit, {}).get(found[2].lower())
    if factor is None:
        return None
    number = float(found[1]) * factor
    return round(number) if unit in ("MiB", "bytes") else number
