"""The few things that files and batches need of a database, alike for SQLite and PostgreSQL.

Statements are written once, in what both understand, with a `?` for each value.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

Row = tuple[Any, ...]
Statement = tuple[str, Row]


class Database(Protocol):
    """Every method raises StorageUnavailable. What was changed is durable when a method returns."""

    async def fetch(self, statement: str, *values: Any) -> list[Row]:
        """In a transaction of its own, as everything is. It may change rows and return them."""
        ...

    async def change(self, *statements: Statement) -> None:
        """All or nothing."""
        ...

    async def close(self) -> None:
        """Safe to call twice."""
        ...


def tables(bytes_type: str) -> Sequence[str]:
    """What makes the tables where there are none."""
    return (
        """create table if not exists batch_files (
            id text primary key, tenant text not null, purpose text not null,
            name text not null, bytes bigint not null, created bigint not null)""",
        f"""create table if not exists batch_file_parts (
            file text not null, number bigint not null, data {bytes_type} not null,
            primary key (file, number))""",
        """create table if not exists batches (
            id text primary key, tenant text not null, status text not null,
            created bigint not null, record text not null,
            owner text not null default '', lease double precision not null default 0)""",
        f"""create table if not exists batch_results (
            batch text not null, line bigint not null, ok bigint not null,
            body {bytes_type} not null, primary key (batch, line))""",
    )
