"""Files that clients upload and batches write, in parts, each tenant's for itself."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator

from stoker.core.clock import Clock
from stoker.errors import FileNotFound, PayloadTooLarge
from stoker.gateway.batches.database import Database, Row
from stoker.gateway.batches.records import File

PART_BYTES = 1 << 20
_COLUMNS = "id, bytes, created, name, purpose"


class FileStore:
    def __init__(self, database: Database, clock: Clock, tenant_bytes: int) -> None:
        """`tenant_bytes` is the most that one tenant may keep here."""
        self._database = database
        self._clock = clock
        self._tenant_bytes = tenant_bytes

    async def add(self, tenant: str, name: str, purpose: str, data: AsyncIterator[bytes]) -> File:
        """`data` in pieces of any size. The file is there when all of it is, or not at all. Raises
        PayloadTooLarge when the tenant has no room for it."""
        file_id = f"file-{secrets.token_hex(12)}"
        room = self._tenant_bytes - await self._used(tenant)
        size = number = 0
        try:
            async for part in _parts(data):
                size += len(part)
                if size > room:
                    raise PayloadTooLarge(
                        f"files of this tenant would exceed {self._tenant_bytes} bytes",
                        hint="Delete files that are not needed any more.",
                    )
                await self._database.change(
                    ("insert into batch_file_parts values (?, ?, ?)", (file_id, number, part))
                )
                number += 1
            created = int(self._clock.wall())
            row = (file_id, tenant, purpose, name, size, created)
            await self._database.change(("insert into batch_files values (?, ?, ?, ?, ?, ?)", row))
        except BaseException:
            await self._drop(file_id)
            raise
        return File(id=file_id, bytes=size, created_at=created, filename=name, purpose=purpose)

    async def get(self, tenant: str, file_id: str) -> File:
        """Raises FileNotFound, also for a file of another tenant's."""
        rows = await self._database.fetch(
            f"select {_COLUMNS} from batch_files where id = ? and tenant = ?",  # noqa: S608
            file_id, tenant,
        )  # fmt: skip
        if not rows:
            raise FileNotFound("there is no such file", param="file_id")
        return _file(rows[0])

    async def list(self, tenant: str, purpose: str | None, most: int, after: str) -> list[File]:
        """The newest first, those older than `after`."""
        rows = await self._database.fetch(
            f"select {_COLUMNS} from batch_files where tenant = ? and (? = '' or purpose = ?) "  # noqa: S608
            "and (? = '' or (created, id) < (select created, id from batch_files where id = ?)) "
            "order by created desc, id desc limit ?",
            tenant, purpose or "", purpose or "", after, after, most,
        )  # fmt: skip
        return [_file(row) for row in rows]

    async def parts(self, file_id: str) -> AsyncIterator[bytes]:
        number = 0
        while rows := await self._database.fetch(
            "select data from batch_file_parts where file = ? and number = ?", file_id, number
        ):
            yield rows[0][0]
            number += 1

    async def delete(self, tenant: str, file_id: str) -> None:
        """Raises FileNotFound."""
        await self.get(tenant, file_id)
        await self._drop(file_id)

    async def _drop(self, file_id: str) -> None:
        await self._database.change(
            ("delete from batch_files where id = ?", (file_id,)),
            ("delete from batch_file_parts where file = ?", (file_id,)),
        )

    async def _used(self, tenant: str) -> int:
        [[used]] = await self._database.fetch(
            "select coalesce(sum(bytes), 0) from batch_files where tenant = ?", tenant
        )
        return int(used)


async def _parts(data: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """All of them PART_BYTES long but the last."""
    held = bytearray()
    async for piece in data:
        held += piece
        while len(held) >= PART_BYTES:
            yield bytes(held[:PART_BYTES])
            del held[:PART_BYTES]
    if held:
        yield bytes(held)


def _file(row: Row) -> File:
    file_id, size, created, name, purpose = row
    return File(id=file_id, bytes=size, created_at=created, filename=name, purpose=purpose)
