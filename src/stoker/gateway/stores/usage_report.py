"""Sums over the usage file, for people and for bills. Reads; never writes."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import msgspec

from stoker.gateway.stores.usage_file import BUSY_SECONDS, HOUR

GROUPS = {
    "tenant": "tenant",
    "key": "key_id",
    "model": "model",
    "day": f"date(hour * {HOUR}, 'unixepoch')",
    "hour": f"strftime('%Y-%m-%dT%H:00', hour * {HOUR}, 'unixepoch')",
}
"""What sums can be by → its expression over the hourly sums."""


class UsageLine(msgspec.Struct, frozen=True, kw_only=True):
    group: tuple[str, ...]
    requests: int
    failed: int
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    cost: int
    """In billionths of the currency."""


def usage_report(
    path: Path, groups: Sequence[str], tenant: str | None = None, since: float = 0.0
) -> list[UsageLine]:
    """One line for each combination of `groups`, in their order. `since` in Unix seconds, rounded
    down to the hour. Raises sqlite3.Error when the file cannot be read."""
    columns = [GROUPS[group] for group in groups]
    query = (
        f"select {', '.join([*columns, ''])} sum(requests), sum(failed), sum(input_tokens), "  # noqa: S608 - a fixed table's words
        "sum(cached_tokens), sum(output_tokens), sum(cost) from hourly "
        "where hour >= ? and (? is null or tenant = ?)"
    )
    if columns:
        numbers = ", ".join(str(number) for number in range(1, len(columns) + 1))
        query += f" group by {numbers} order by {numbers}"
    address = f"{path.absolute().as_uri()}?mode=ro"
    with closing(sqlite3.connect(address, uri=True, timeout=BUSY_SECONDS)) as connection:
        rows = connection.execute(query, (int(since // HOUR), tenant, tenant)).fetchall()
    return [_line(row, len(columns)) for row in rows if row[-1] is not None]


def _line(row: tuple[str | int, ...], groups: int) -> UsageLine:
    counts = [int(value) for value in row[groups:]]
    names = ("requests", "failed", "input_tokens", "cached_tokens", "output_tokens", "cost")
    return UsageLine(
        group=tuple(str(value) for value in row[:groups]), **dict(zip(names, counts, strict=True))
    )
