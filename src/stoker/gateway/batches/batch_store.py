"""Batches and what came of their lines, each tenant's for itself. What is written here outlives the
process; a lease says which process works on a batch, and ends by itself when that one does."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection
from typing import NamedTuple

import msgspec

from stoker.errors import BatchNotFound
from stoker.gateway.batches.database import Database
from stoker.gateway.batches.records import UNDER_WAY, Batch, Counts, Owned

AT_ONCE = 200
"""Results read together."""
CANDIDATES = 100
"""Batches looked at to find one to work on, the oldest first."""
_record = msgspec.json.Decoder(Owned)


class Outcome(NamedTuple):
    line: int
    ok: bool
    body: bytes


class BatchStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, owned: Owned) -> None:
        batch = owned.batch
        row = (batch.id, owned.tenant, batch.status, batch.created_at, _text(owned))
        await self._database.change(
            (
                "insert into batches (id, tenant, status, created, record) values (?, ?, ?, ?, ?)",
                row,
            )
        )

    async def get(self, tenant: str, batch_id: str) -> Batch:
        """With the counts of this moment. Raises BatchNotFound, also for another tenant's."""
        rows = await self._database.fetch(
            "select record from batches where id = ? and tenant = ?", batch_id, tenant
        )
        if not rows:
            raise BatchNotFound("there is no such batch", param="batch_id")
        return await self._counted(_record.decode(rows[0][0]).batch)

    async def list(self, tenant: str, most: int, after: str) -> list[Batch]:
        """The newest first, those older than `after`."""
        rows = await self._database.fetch(
            "select record from batches where tenant = ? "
            "and (? = '' or (created, id) < (select created, id from batches where id = ?)) "
            "order by created desc, id desc limit ?",
            tenant, after, after, most,
        )  # fmt: skip
        return [await self._counted(_record.decode(row[0]).batch) for row in rows]

    async def num_under_way(self, tenant: str) -> int:
        marks = ", ".join("?" for _ in UNDER_WAY)
        [[count]] = await self._database.fetch(
            f"select count(*) from batches where tenant = ? and status in ({marks})",  # noqa: S608
            tenant, *UNDER_WAY,
        )  # fmt: skip
        return int(count)

    async def change(self, batch_id: str, changed: Callable[[Batch], Batch]) -> Batch:
        """`changed` may be called several times: others may change the batch meanwhile."""
        while True:
            [[text]] = await self._database.fetch(
                "select record from batches where id = ?", batch_id
            )
            owned = _record.decode(text)
            batch = changed(owned.batch)
            rows = await self._database.fetch(
                "update batches set record = ?, status = ? where id = ? and record = ? "
                "returning id",
                _text(msgspec.structs.replace(owned, batch=batch)), batch.status, batch_id, text,
            )  # fmt: skip
            if rows:
                return batch

    async def claim(
        self, owner: str, models: Collection[str], now: float, until: float
    ) -> Owned | None:
        """A batch under way that no living process works on, for one of these models, or for
        whatever is served."""
        marks = ", ".join("?" for _ in UNDER_WAY)
        rows = await self._database.fetch(
            f"select id, record from batches where status in ({marks}) and lease < ? "  # noqa: S608
            "order by created, id limit ?",
            *UNDER_WAY, now, CANDIDATES,
        )  # fmt: skip
        known = {model.casefold() for model in models}
        for batch_id, text in rows:
            owned = _record.decode(text)
            if (not owned.model or owned.model.casefold() in known) and await self._lease(
                batch_id, owner, now, until
            ):
                return owned
        return None

    async def _lease(self, batch_id: str, owner: str, now: float, until: float) -> bool:
        return bool(
            await self._database.fetch(
                "update batches set owner = ?, lease = ? where id = ? and lease < ? returning id",
                owner, until, batch_id, now,
            )
        )  # fmt: skip

    async def renew(self, batch_id: str, owner: str, until: float) -> Batch | None:
        """The batch as it is now; None when the lease was lost."""
        rows = await self._database.fetch(
            "update batches set lease = ? where id = ? and owner = ? returning record",
            until, batch_id, owner,
        )  # fmt: skip
        return _record.decode(rows[0][0]).batch if rows else None

    async def release(self, batch_id: str, owner: str) -> None:
        await self._database.change(
            (
                "update batches set owner = '', lease = 0 where id = ? and owner = ?",
                (batch_id, owner),
            )
        )

    async def record(self, batch_id: str, outcome: Outcome) -> None:
        """On the disk when it returns. The first outcome of a line is the one that counts."""
        row = (batch_id, outcome.line, int(outcome.ok), outcome.body)
        await self._database.change(
            ("insert into batch_results values (?, ?, ?, ?) on conflict do nothing", row)
        )

    async def lines_done(self, batch_id: str) -> set[int]:
        rows = await self._database.fetch(
            "select line from batch_results where batch = ?", batch_id
        )
        return {row[0] for row in rows}

    async def results(self, batch_id: str, ok: bool) -> AsyncIterator[bytes]:
        """In the order of the lines."""
        last = -1
        while rows := await self._database.fetch(
            "select line, body from batch_results where batch = ? and ok = ? and line > ? "
            "order by line limit ?",
            batch_id, int(ok), last, AT_ONCE,
        ):  # fmt: skip
            for _, body in rows:
                yield body
            last = rows[-1][0]

    async def forget_results(self, batch_id: str) -> None:
        """Once they are in files."""
        await self._database.change(("delete from batch_results where batch = ?", (batch_id,)))

    async def counts(self, batch_id: str, total: int) -> Counts:
        found = await self._database.fetch(
            "select ok, count(*) from batch_results where batch = ? group by ok", batch_id
        )
        number = {bool(ok): int(count) for ok, count in found}
        return Counts(total=total, completed=number.get(True, 0), failed=number.get(False, 0))

    async def _counted(self, batch: Batch) -> Batch:
        if batch.status not in UNDER_WAY:
            return batch
        counts = await self.counts(batch.id, batch.request_counts.total)
        return msgspec.structs.replace(batch, request_counts=counts)


def _text(owned: Owned) -> str:
    return msgspec.json.encode(owned).decode()
