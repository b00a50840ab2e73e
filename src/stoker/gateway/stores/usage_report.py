"""Sums over the hourly table, for people and for bills: the same in SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from stoker.gateway.stores.interface import UsageLine, UsageQuestion

HOUR = 3600
GROUPS = {
    "tenant": "tenant",
    "key": "key_id",
    "model": "model",
    "backend": "backend",
    "day": "hour / 24",
    "hour": "hour",
}
"""What sums can be by → its column or expression; `hour` counts since 1970."""
SUMS = ("requests", "failed", "input_tokens", "cached_tokens", "output_tokens", "cost")


def query(table: str, question: UsageQuestion) -> tuple[str, list[Any]]:
    """One row for each combination of the groups, in their order. Values are bound to `?`."""
    columns = [GROUPS[group] for group in question.groups]
    sums = [f"sum({name})" for name in SUMS]
    text = f"select {', '.join([*columns, *sums])} from {table} where hour >= ?"  # noqa: S608 - fixed words only
    values: list[Any] = [int(question.since // HOUR)]
    if question.tenant is not None:
        text += " and tenant = ?"
        values.append(question.tenant)
    if columns:
        numbers = ", ".join(str(number) for number in range(1, len(columns) + 1))
        text += f" group by {numbers} order by {numbers}"
    return text + " having count(*) > 0" * (not columns), values


def line_of(row: Sequence[Any], groups: Sequence[str]) -> UsageLine:
    sums = {name: int(value) for name, value in zip(SUMS, row[len(groups) :], strict=True)}
    return UsageLine(group=tuple(map(_shown, groups, row)), **sums)


def _shown(group: str, value: Any) -> str:
    if group == "day":
        return datetime.fromtimestamp(int(value) * 24 * HOUR, UTC).strftime("%Y-%m-%d")
    if group == "hour":
        return datetime.fromtimestamp(int(value) * HOUR, UTC).strftime("%Y-%m-%dT%H:00")
    return str(value)
