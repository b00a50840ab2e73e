"""/v1/files: what batches are made from, and what comes of them. Each tenant sees its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Literal
from urllib.parse import parse_qs

import msgspec
from python_multipart.exceptions import MultipartParseError
from starlette.datastructures import UploadFile as Upload
from starlette.exceptions import HTTPException
from starlette.requests import Request

from stoker.api.asgi import Message
from stoker.api.batch.desk import BatchDesk
from stoker.api.body import ClientGone
from stoker.api.errors import JSON
from stoker.api.exchange import Exchange
from stoker.errors import InvalidRequest, PayloadTooLarge, RequestTimeout, UnsupportedMediaType
from stoker.gateway.batches.records import File

PURPOSES = ("batch",)
MAX_FIELDS = 8
FORM_BYTES = 64 * 1024
"""Of a form, besides the file."""
UPLOAD_SECONDS = 600.0
PART_BYTES = 1 << 18
MOST_LISTED = 100
MAX_NAME = 256


class UploadForm(msgspec.Struct, frozen=True, kw_only=True):
    """What the form holds."""

    purpose: Literal["batch"]
    file: bytes


class FileList(msgspec.Struct, frozen=True, kw_only=True):
    object: Literal["list"] = "list"
    data: list[File]
    first_id: str | None
    last_id: str | None
    has_more: bool


class Deleted(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    object: Literal["file"] = "file"
    deleted: Literal[True] = True


class UploadFile:
    def __init__(self, desk: BatchDesk) -> None:
        self._desk = desk

    async def __call__(self, exchange: Exchange) -> None:
        kind = (exchange.header(b"content-type") or "").partition(";")[0].strip().lower()
        if kind != "multipart/form-data":
            raise UnsupportedMediaType(
                "a file is sent as multipart/form-data", hint="With the fields file and purpose."
            )
        counted = _Counted(exchange, self._desk.section.file_bytes + FORM_BYTES)
        try:
            async with asyncio.timeout(UPLOAD_SECONDS):
                request = Request(exchange.scope, counted.receive)
                async with request.form(max_files=1, max_fields=MAX_FIELDS) as form:
                    purpose, upload = _checked(form.get("purpose"), form.get("file"))
                    stores = await self._desk.stores()
                    file = await stores.files.add(
                        exchange.principal.tenant.name, _name(upload), purpose, _pieces(upload)
                    )
        except TimeoutError:
            raise RequestTimeout(
                f"the file did not arrive within {UPLOAD_SECONDS:g} seconds"
            ) from None
        except (HTTPException, MultipartParseError):
            raise InvalidRequest("the form cannot be read", param="file") from None
        await exchange.respond_json(file)


class ListFiles:
    def __init__(self, desk: BatchDesk) -> None:
        self._desk = desk

    async def __call__(self, exchange: Exchange) -> None:
        asked = query(exchange)
        most, after = page(asked)
        stores = await self._desk.stores()
        tenant = exchange.principal.tenant.name
        found = await stores.files.list(tenant, asked.get("purpose"), most + 1, after)
        await exchange.respond_json(
            FileList(
                data=found[:most],
                first_id=found[0].id if found else None,
                last_id=found[:most][-1].id if found else None,
                has_more=len(found) > most,
            )
        )


class GetFile:
    def __init__(self, desk: BatchDesk) -> None:
        self._desk = desk

    async def __call__(self, exchange: Exchange) -> None:
        stores = await self._desk.stores()
        tenant, file_id = exchange.principal.tenant.name, exchange.scope["path_params"]["file_id"]
        await exchange.respond_json(await stores.files.get(tenant, file_id))


class GetContent:
    def __init__(self, desk: BatchDesk) -> None:
        self._desk = desk

    async def __call__(self, exchange: Exchange) -> None:
        stores = await self._desk.stores()
        tenant, file_id = exchange.principal.tenant.name, exchange.scope["path_params"]["file_id"]
        file = await stores.files.get(tenant, file_id)
        size = (b"content-length", str(file.bytes).encode())
        await exchange.start(200, [(b"content-type", b"application/octet-stream"), size])
        async for part in stores.files.parts(file_id):
            await exchange.write(part)
        await exchange.finish()


class DeleteFile:
    def __init__(self, desk: BatchDesk) -> None:
        self._desk = desk

    async def __call__(self, exchange: Exchange) -> None:
        stores = await self._desk.stores()
        tenant, file_id = exchange.principal.tenant.name, exchange.scope["path_params"]["file_id"]
        await stores.files.delete(tenant, file_id)
        await exchange.respond(msgspec.json.encode(Deleted(id=file_id)), headers=[JSON])


class _Counted:
    """Lets no more than `most` bytes of a body through."""

    def __init__(self, exchange: Exchange, most: int) -> None:
        self._receive = exchange.receive
        self._most = most
        self._size = 0

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        self._size += len(message.get("body", b""))
        if self._size > self._most:
            raise PayloadTooLarge(
                f"the file is larger than {self._most - FORM_BYTES} bytes",
                hint="Split it, or raise batches.file_bytes.",
            )
        return message


def _checked(purpose: object, upload: object) -> tuple[str, Upload]:
    if purpose not in PURPOSES:
        raise InvalidRequest("'purpose' must be batch", param="purpose")
    if not isinstance(upload, Upload):
        raise InvalidRequest("'file' is missing, or no file", param="file")
    return str(purpose), upload


def _name(upload: Upload) -> str:
    shown = "".join(c for c in upload.filename or "" if c.isprintable())
    return shown[:MAX_NAME] or "file"


async def _pieces(upload: Upload) -> AsyncIterator[bytes]:
    while piece := await upload.read(PART_BYTES):
        yield piece


def query(exchange: Exchange) -> dict[str, str]:
    """The first of each name."""
    text = exchange.scope["query_string"].decode("latin-1")
    return {name: values[0] for name, values in parse_qs(text).items()}


def page(asked: dict[str, str]) -> tuple[int, str]:
    """How many to list, and after which. Raises InvalidRequest."""
    limit = asked.get("limit", "20")
    if not limit.isascii() or not limit.isdecimal() or not 1 <= int(limit[:9]) <= 10_000:
        raise InvalidRequest("'limit' must be 1 to 10000", param="limit")
    return min(int(limit[:9]), MOST_LISTED), asked.get("after", "")[:64]
