"""The SQLite file of usage: what each request used, hourly sums, and what each budget has spent.

All calls block and belong to one thread, except that any process may read.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

from stoker.gateway.usage_record import UsageRecord

VERSION = 1
BUSY_SECONDS = 5.0
KEEP_SECONDS = 90 * 24 * 3600.0
"""Single requests; hourly sums are kept for good."""
HOUR = 3600

_SCHEMA = """
create table usage (
    request_id text primary key, ended real not null, tenant text not null, key_id text not null,
    model text not null, input_tokens integer not null, cached_tokens integer not null,
    output_tokens integer not null, cost integer not null, outcome text not null
) without rowid;
create index usage_ended on usage (ended);
create table hourly (
    hour integer not null, tenant text not null, key_id text not null, model text not null,
    requests integer not null, failed integer not null, input_tokens integer not null,
    cached_tokens integer not null, output_tokens integer not null, cost integer not null,
    primary key (hour, tenant, key_id, model)
) without rowid;
create table spending (
    tenant text not null, window text not null, spent integer not null,
    primary key (tenant, window)
) without rowid;
"""
_HOURLY = """
insert into hourly values (?, ?, ?, ?, 1, ?, ?, ?, ?, ?)
on conflict do update set requests = requests + 1, failed = failed + excluded.failed,
    input_tokens = input_tokens + excluded.input_tokens,
    cached_tokens = cached_tokens + excluded.cached_tokens,
    output_tokens = output_tokens + excluded.output_tokens, cost = cost + excluded.cost
"""
ENDED_WELL = frozenset({"stop", "length", "cancelled"})


class UsageFile:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None

    def open(self) -> None:
        """Raises sqlite3.Error or OSError."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(
            self._path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        try:
            self._path.chmod(0o600)
            connection.execute("pragma journal_mode = wal")
            connection.execute("pragma synchronous = full")
            self._check(connection)
        except BaseException:
            connection.close()
            raise
        self._connection = connection

    def _check(self, connection: sqlite3.Connection) -> None:
        sound = connection.execute("pragma quick_check(1)").fetchone()[0]
        if sound != "ok":
            raise sqlite3.DatabaseError(sound)
        version = connection.execute("pragma user_version").fetchone()[0]
        if version == 0:
            connection.executescript(f"begin;{_SCHEMA}pragma user_version = {VERSION};commit;")
        elif version != VERSION:
            raise sqlite3.DatabaseError(f"it is of version {version}, this program's is {VERSION}")

    def spending(self) -> list[tuple[str, str, int]]:
        """(tenant, window, spent), everything there is."""
        return list(self._open.execute("select tenant, window, spent from spending"))

    def write(
        self, records: Sequence[UsageRecord], spending: Sequence[tuple[str, str, int]]
    ) -> None:
        """All or nothing, and on the disk when it returns. A request known already is left out."""
        with self._transaction() as connection:
            for record in records:
                self._add(connection, record)
            connection.executemany("insert or replace into spending values (?, ?, ?)", spending)
            if records:
                oldest = records[-1].ended - KEEP_SECONDS
                connection.execute("delete from usage where ended < ?", (oldest,))

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _add(self, connection: sqlite3.Connection, one: UsageRecord) -> None:
        used = (one.input_tokens, one.cached_tokens, one.output_tokens, one.cost)
        added = connection.execute(
            "insert or ignore into usage values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (one.request_id, one.ended, one.tenant, one.key_id, one.model, *used, one.outcome),
        )
        if added.rowcount:
            hour = int(one.ended // HOUR)
            failed = one.outcome not in ENDED_WELL
            connection.execute(_HOURLY, (hour, one.tenant, one.key_id, one.model, failed, *used))

    @property
    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            raise sqlite3.ProgrammingError("the usage file is closed")
        return self._connection

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        connection = self._open
        connection.execute("begin immediate")
        try:
            yield connection
        except BaseException:
            connection.execute("rollback")
            raise
        connection.execute("commit")
