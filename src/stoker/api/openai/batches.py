"""/v1/batches: a file of requests done while nobody else needs the models."""

from __future__ import annotations

import secrets
from typing import Literal

import msgspec
from msgspec.structs import replace

from stoker.api.batch.desk import BatchDesk
from stoker.api.batch.line import ENDPOINTS, BatchLine
from stoker.api.batch.lines_of import lines_of
from stoker.api.exchange import Exchange
from stoker.api.front import Front
from stoker.api.openai.files import page, query
from stoker.errors import InvalidRequest, RateLimitExceeded
from stoker.gateway.batches.records import WINDOW_SECONDS, Batch, Owned

WINDOW = "24h"
MOST_METADATA = 16
RETRY_SECONDS = 60.0


class BatchRequest(msgspec.Struct, frozen=True, kw_only=True):
    input_file_id: str
    endpoint: str
    completion_window: str
    metadata: dict[str, str] | None = None


class BatchList(msgspec.Struct, frozen=True, kw_only=True):
    object: Literal["list"] = "list"
    data: list[Batch]
    first_id: str | None
    last_id: str | None
    has_more: bool


class CreateBatch:
    def __init__(self, front: Front, desk: BatchDesk) -> None:
        self._front = front
        self._desk = desk

    async def __call__(self, exchange: Exchange) -> None:
        self._front.check_accepting()
        asked = await self._front.off_loop.read(exchange, BatchRequest)
        _check(asked)
        principal, section = exchange.principal, self._desk.section
        tenant = principal.tenant.name
        stores = await self._desk.stores()
        await stores.files.get(tenant, asked.input_file_id)
        if await stores.batches.num_under_way(tenant) >= section.max_under_way:
            raise RateLimitExceeded(
                f"{section.max_under_way} batches of this tenant are under way",
                retry_after=RETRY_SECONDS,
            )
        parts = stores.files.parts(asked.input_file_id)
        model = ""
        async for _, line in lines_of(parts, asked.endpoint, section.max_lines):
            if isinstance(line, BatchLine):
                model = line.model
            break
        if model:
            self._front.routes.resolve(model, principal)
        now = int(self._desk.clock.wall())
        batch = Batch(
            id=f"batch_{secrets.token_hex(12)}", endpoint=asked.endpoint, created_at=now,
            input_file_id=asked.input_file_id, completion_window=asked.completion_window,
            expires_at=now + WINDOW_SECONDS, metadata=asked.metadata,
        )  # fmt: skip
        await stores.batches.add(
            Owned(batch=batch, tenant=tenant, model=model, key_id=principal.key_id)
        )
        self._desk.added.set()
        await exchange.respond_json(batch)


class ListBatches:
    def __init__(self, desk: BatchDesk) -> None:
        self._desk = desk

    async def __call__(self, exchange: Exchange) -> None:
        most, after = page(query(exchange))
        stores = await self._desk.stores()
        found = await stores.batches.list(exchange.principal.tenant.name, most + 1, after)
        await exchange.respond_json(
            BatchList(
                data=found[:most],
                first_id=found[0].id if found else None,
                last_id=found[:most][-1].id if found else None,
                has_more=len(found) > most,
            )
        )


class GetBatch:
    def __init__(self, desk: BatchDesk) -> None:
        self._desk = desk

    async def __call__(self, exchange: Exchange) -> None:
        stores = await self._desk.stores()
        batch_id = exchange.scope["path_params"]["batch_id"]
        await exchange.respond_json(
            await stores.batches.get(exchange.principal.tenant.name, batch_id)
        )


class CancelBatch:
    """Lines that are done stay done; their results become files soon after."""

    def __init__(self, desk: BatchDesk) -> None:
        self._desk = desk

    async def __call__(self, exchange: Exchange) -> None:
        stores = await self._desk.stores()
        tenant, batch_id = exchange.principal.tenant.name, exchange.scope["path_params"]["batch_id"]
        await stores.batches.get(tenant, batch_id)
        await stores.batches.change(batch_id, self._cancelling)
        await exchange.respond_json(await stores.batches.get(tenant, batch_id))

    def _cancelling(self, batch: Batch) -> Batch:
        """Raises InvalidRequest for one that has ended."""
        if batch.status == "cancelling":
            return batch
        if batch.status not in ("validating", "in_progress"):
            raise InvalidRequest(f"the batch is {batch.status}", param="batch_id")
        return replace(batch, status="cancelling", cancelling_at=int(self._desk.clock.wall()))


def _check(asked: BatchRequest) -> None:
    if asked.endpoint not in ENDPOINTS:
        raise InvalidRequest(f"'endpoint' must be one of {', '.join(ENDPOINTS)}", param="endpoint")
    if asked.completion_window != WINDOW:
        raise InvalidRequest(f"'completion_window' must be {WINDOW}", param="completion_window")
    metadata = asked.metadata or {}
    if len(metadata) > MOST_METADATA or any(
        len(name) > 64 or len(value) > 512 for name, value in metadata.items()
    ):
        raise InvalidRequest("'metadata' holds 16 short texts at most", param="metadata")
