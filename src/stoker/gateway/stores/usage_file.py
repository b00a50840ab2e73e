"""The SQLite file of usage: what each request used, hourly sums, and what of each budget is gone.

All calls block and belong to one thread.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from stoker.gateway.stores.interface import UsageLine, UsageQuestion
from stoker.gateway.stores.usage_report import HOUR, line_of, query
from stoker.gateway.usage_record import UsageRecord
from stoker.gateway.windows import window_of

VERSION = 1
BUSY_SECONDS = 5.0
DAY = 24 * HOUR
KEEP_SECONDS = 90 * DAY
"""Single requests, and what was spent in windows of an hour or a day. Hourly sums are kept for
good."""
ENDED_WELL = frozenset({"stop", "length", "cancelled"})

_SCHEMA = """
create table usage (
    reservation text primary key, request_id text not null, ended real not null,
    tenant text not null, key_id text not null, model text not null, backend text not null,
    input_tokens integer not null, cached_tokens integer not null, output_tokens integer not null,
    cost integer not null, outcome text not null
) without rowid;
create index usage_ended on usage (ended);
create table hourly (
    hour integer not null, tenant text not null, key_id text not null, model text not null,
    backend text not null, requests integer not null, failed integer not null,
    input_tokens integer not null, cached_tokens integer not null, output_tokens integer not null,
    cost integer not null, primary key (hour, tenant, key_id, model, backend)
) without rowid;
create table spending (
    tenant text not null, window text not null, drawn integer not null,
    primary key (tenant, window)
) without rowid;
"""
_FIELDS = [f"json_extract(value, '$[{number}]')" for number in range(12)]
_KNOWN = "select reservation from usage where reservation in (select value from json_each(?))"
_USAGE = f"insert into usage select {', '.join(_FIELDS)} from json_each(?)"  # noqa: S608
_HOURLY = f"""
insert into hourly select cast({_FIELDS[2]} as integer) / {HOUR}, {", ".join(_FIELDS[3:7])},
    count(*), sum({_FIELDS[11]} not in (select value from json_each(?))),
    {", ".join(f"sum({field})" for field in _FIELDS[7:11])}
    from json_each(?) where true group by 1, 2, 3, 4, 5
on conflict do update set requests = requests + excluded.requests,
    failed = failed + excluded.failed, input_tokens = input_tokens + excluded.input_tokens,
    cached_tokens = cached_tokens + excluded.cached_tokens,
    output_tokens = output_tokens + excluded.output_tokens, cost = cost + excluded.cost
"""  # noqa: S608


class UsageFile:
    """Everything but `open` raises sqlite3.Error only."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._connection: sqlite3.Connection | None = None

    def open(self, wall: float) -> None:
        """Raises sqlite3.Error or OSError. Forgets what is older than KEEP_SECONDS at `wall`."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(
            self.path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        try:
            self.path.chmod(0o600)
            connection.execute("pragma journal_mode = wal")
            connection.execute("pragma synchronous = full")
            self._check(connection)
        except BaseException:
            connection.close()
            raise
        self._connection = connection
        self._forget_windows(wall - KEEP_SECONDS)

    def open_to_read(self) -> None:
        """Raises sqlite3.Error, also when there is no such file or it is no database."""
        address = f"{self.path.absolute().as_uri()}?mode=ro"
        connection = sqlite3.connect(
            address, uri=True, timeout=BUSY_SECONDS, check_same_thread=False
        )
        try:
            connection.execute("select count(*) from hourly limit 1")
        except BaseException:
            connection.close()
            raise
        self._connection = connection

    def write(self, records: Sequence[UsageRecord]) -> None:
        """All or nothing, and on the disk when it returns. Records known already are left out."""
        with self._transaction() as connection:
            self._add(connection, records)
            oldest = max((record.ended for record in records), default=0.0) - KEEP_SECONDS
            connection.execute("delete from usage where ended < ?", (oldest,))

    def draw(self, tenant: str, window: str, most: int, limit: int) -> int:
        """As Funds.draw."""
        with self._transaction() as connection:
            drawn = min(most, limit - self._drawn(connection, tenant, window))
            if drawn <= 0:
                return 0
            connection.execute(
                "insert into spending values (?, ?, ?) "
                "on conflict do update set drawn = drawn + excluded.drawn",
                (tenant, window, drawn),
            )
        return drawn

    def give_back(self, tenant: str, window: str, amount: int) -> None:
        with self._transaction() as connection:
            connection.execute(
                "update spending set drawn = max(0, drawn - ?) where tenant = ? and window = ?",
                (amount, tenant, window),
            )

    def drawn(self, tenant: str, window: str) -> int:
        """What of that budget is gone, as far as this file knows."""
        return self._drawn(self._open, tenant, window)

    def report(self, question: UsageQuestion) -> list[UsageLine]:
        text, values = query("hourly", question)
        return [line_of(row, question.groups) for row in self._open.execute(text, values)]

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _check(self, connection: sqlite3.Connection) -> None:
        sound = connection.execute("pragma quick_check(1)").fetchone()[0]
        if sound != "ok":
            raise sqlite3.DatabaseError(sound)
        with _transaction(connection):
            version = connection.execute("pragma user_version").fetchone()[0]
            if version == 0:
                for statement in filter(str.strip, _SCHEMA.split(";")):
                    connection.execute(statement)
                connection.execute(f"pragma user_version = {VERSION}")
        if version not in (0, VERSION):
            raise sqlite3.DatabaseError(f"it is of version {version}, this program's is {VERSION}")

    def _forget_windows(self, oldest: float) -> None:
        for kind in ("hour", "day"):
            self._open.execute(
                "delete from spending where window >= ? and window < ?",
                (f"{kind} ", window_of(kind, oldest)),
            )

    def _drawn(self, connection: sqlite3.Connection, tenant: str, window: str) -> int:
        row = connection.execute(
            "select drawn from spending where tenant = ? and window = ?", (tenant, window)
        ).fetchone()
        return int(row[0]) if row else 0

    def _add(self, connection: sqlite3.Connection, records: Sequence[UsageRecord]) -> None:
        """In a few long statements, during which other threads run, and not in many short ones."""
        every = {record.reservation: _row(record) for record in records}
        for (known,) in connection.execute(_KNOWN, (_json(list(every)),)).fetchall():
            del every[known]
        rows = _json(list(every.values()))
        connection.execute(_USAGE, (rows,))
        connection.execute(_HOURLY, (_json(sorted(ENDED_WELL)), rows))

    @property
    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            raise sqlite3.ProgrammingError("the usage file is closed")
        return self._connection

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with _transaction(self._open) as connection:
            yield connection


@contextlib.contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    connection.execute("begin immediate")
    try:
        yield connection
        connection.execute("commit")
    except BaseException:
        with contextlib.suppress(sqlite3.Error):  # a full disk may have ended it already
            connection.execute("rollback")
        raise


def _row(one: UsageRecord) -> tuple[str | float, ...]:
    who = (one.tenant, one.key_id, one.model, one.backend)
    used = (one.input_tokens, one.cached_tokens, one.output_tokens, one.cost)
    return (one.reservation, one.request_id, one.ended, *who, *used, one.outcome)


def _json(values: Sequence[object]) -> str:
    return msgspec.json.encode(values).decode()
