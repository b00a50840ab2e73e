"""Does batches, one after another, in what is left of the models beside other requests: lines wait
in the lowest band of the queue, and few of them run at once.

Killed at any point, whoever comes next goes on: a line's outcome is on the disk before it counts,
and a line without one is asked again.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import sys
from collections.abc import AsyncIterator

import msgspec
from msgspec.structs import replace

from stoker.api.app import Application
from stoker.api.batch.asking import refused, result_of
from stoker.api.batch.desk import BatchDesk, Stores
from stoker.api.batch.line import BatchLine
from stoker.api.batch.lines_of import lines_of
from stoker.errors import InvalidApiKey, StokerError
from stoker.gateway.batches.batch_store import Outcome
from stoker.gateway.batches.records import Batch, LineError, LineErrors, Owned
from stoker.gateway.tenant import ANONYMOUS, Band, Principal

log = logging.getLogger(__name__)

LEASE_SECONDS = 10.0
"""After a crash, others wait this long before they go on with a batch."""
RENEW_SECONDS = 2.0
LOOK_SECONDS = 5.0
"""Between looks for batches that others left."""
FOR_EVER = sys.maxsize


class LeaseLost(Exception):
    """Somebody else works on the batch now."""


class BatchRunner:
    def __init__(self, desk: BatchDesk, application: Application) -> None:
        self._desk = desk
        self._application = application
        self._owner = secrets.token_hex(8)

    async def run(self) -> None:
        """Until cancelled."""
        if not self._desk.used:
            await self._desk.added.wait()
        while True:
            try:
                await self._all_there_are(await self._desk.stores())
            except StokerError as error:
                log.error("batches wait: %s", error.message)
            except Exception:
                log.exception("a batch could not go on")
            try:
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._desk.added.wait()
            except TimeoutError:
                pass
            self._desk.added.clear()

    async def _all_there_are(self, stores: Stores) -> None:
        while True:
            now = self._desk.clock.wall()
            names = {route.name for route in self._application.front.routes.visible(ANONYMOUS)}
            owned = await stores.batches.claim(self._owner, names, now, now + LEASE_SECONDS)
            if owned is None:
                return
            try:
                await _Run(self._desk, stores, self._application, owned, self._owner).run()
            except LeaseLost:
                log.warning("batch %s is done elsewhere", owned.batch.id)
            finally:
                await asyncio.shield(stores.batches.release(owned.batch.id, self._owner))


class _Run:
    """One batch, from where it is to its end."""

    def __init__(
        self, desk: BatchDesk, stores: Stores, application: Application, owned: Owned, owner: str
    ) -> None:
        self._desk = desk
        self._files, self._batches = stores
        self._application = application
        self._owned = owned
        self._id = owned.batch.id
        self._owner = owner

    async def run(self) -> None:
        batch = self._owned.batch
        if batch.status == "validating":
            batch = await self._validated()
        if batch.status == "in_progress":
            batch = await self._answered(batch)
        if batch.status in ("finalizing", "cancelling"):
            await self._finished(batch)

    async def _validated(self) -> Batch:
        lines = lines_of(self._parts(), self._owned.batch.endpoint, self._desk.section.max_lines)
        errors, total = [], 0
        async for _, line in lines:
            total += 1
            if isinstance(line, LineError):
                errors.append(line)
        if not total:
            errors.append(LineError(code="empty_file", message="the file holds no request"))
        return await self._batches.change(self._id, lambda batch: self._begun(batch, total, errors))

    def _begun(self, batch: Batch, total: int, errors: list[LineError]) -> Batch:
        if batch.status != "validating":  # cancelled meanwhile
            return batch
        now = int(self._desk.clock.wall())
        if errors:
            found = LineErrors(data=errors[:100])
            return replace(batch, status="failed", failed_at=now, errors=found)
        counts = replace(batch.request_counts, total=total)
        return replace(batch, status="in_progress", in_progress_at=now, request_counts=counts)

    async def _answered(self, batch: Batch) -> Batch:
        """Every line, or as many as there were time for."""
        keeping = asyncio.create_task(self._keep_lease(), name="lease")
        answering = asyncio.create_task(self._answer_all(), name="batch")
        try:
            left = batch.expires_at - self._desk.clock.wall()
            await asyncio.wait(
                (keeping, answering), timeout=max(left, 0.0), return_when=asyncio.FIRST_COMPLETED
            )
            for task in (keeping, answering):
                if task.done():
                    await task
        finally:
            for task in (keeping, answering):
                task.cancel()
            await asyncio.gather(keeping, answering, return_exceptions=True)
        return await self._batches.change(self._id, self._ended)

    def _ended(self, batch: Batch) -> Batch:
        if batch.status != "in_progress":
            return batch
        return replace(batch, status="finalizing", finalizing_at=int(self._desk.clock.wall()))

    async def _keep_lease(self) -> None:
        """Returns when the batch was cancelled. Raises LeaseLost."""
        while True:
            await asyncio.sleep(RENEW_SECONDS)
            until = self._desk.clock.wall() + LEASE_SECONDS
            batch = await self._batches.renew(self._id, self._owner, until)
            if batch is None:
                raise LeaseLost
            if batch.status == "cancelling":
                return

    async def _answer_all(self) -> None:
        done = await self._batches.lines_done(self._id)
        room = asyncio.Semaphore(self._desk.section.max_running)
        endpoint, most = self._owned.batch.endpoint, self._desk.section.max_lines

        async def answer(number: int, line: BatchLine) -> None:
            try:
                await self._batches.record(self._id, await self._outcome(number, line))
            finally:
                room.release()

        async with asyncio.TaskGroup() as group:
            async for number, line in lines_of(self._parts(), endpoint, most):
                if number not in done and isinstance(line, BatchLine):
                    await room.acquire()
                    group.create_task(answer(number, line))

    async def _outcome(self, number: int, line: BatchLine) -> Outcome:
        """As the key that began the batch may have it by now."""
        try:
            result = await result_of(self._application, line, self._principal(), FOR_EVER)
        except InvalidApiKey as error:
            result = refused(line, error)
        return Outcome(number, result.response.status_code < 400, msgspec.json.encode(result))

    def _principal(self) -> Principal:
        """Raises InvalidApiKey."""
        front, owned = self._application.front, self._owned
        found = front.keyring.principal(owned.tenant, owned.key_id, self._desk.clock.wall())
        if found is None:
            raise InvalidApiKey("the API key that began the batch is not valid any more")
        return replace(found, tenant=replace(found.tenant, band=Band.BATCH))

    async def _finished(self, batch: Batch) -> None:
        """Results become files, then the batch has ended."""
        counts = await self._batches.counts(self._id, batch.request_counts.total)
        output = await self._file_of(True) if counts.completed else None
        errors = await self._file_of(False) if counts.failed else None
        now = int(self._desk.clock.wall())

        def ended(batch: Batch) -> Batch:
            files = replace(
                batch, output_file_id=output, error_file_id=errors, request_counts=counts
            )
            if batch.status == "cancelling":
                return replace(files, status="cancelled", cancelled_at=now)
            if counts.completed + counts.failed < counts.total:
                return replace(files, status="expired", expired_at=now)
            return replace(files, status="completed", completed_at=now)

        await self._batches.change(self._id, ended)
        await self._batches.forget_results(self._id)

    async def _file_of(self, ok: bool) -> str:
        name = f"{self._id}_{'output' if ok else 'error'}.jsonl"
        results = self._lines(self._batches.results(self._id, ok))
        return (await self._files.add(self._owned.tenant, name, "batch_output", results)).id

    async def _lines(self, results: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        async for result in results:
            yield result + b"\n"

    def _parts(self) -> AsyncIterator[bytes]:
        return self._files.parts(self._owned.batch.input_file_id)
