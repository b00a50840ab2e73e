"""The request body: read under limits, then decoded into a typed record."""

from __future__ import annotations

import asyncio
import re
from itertools import accumulate
from typing import TypeVar

import msgspec

from stoker.api.asgi import Receive
from stoker.api.refusal import refusal
from stoker.config.schema import LimitsSection
from stoker.errors import InvalidRequest, PayloadTooLarge, RequestTimeout

Record = TypeVar("Record", bound=msgspec.Struct)

_STRINGS = re.compile(rb'"(?:[^"\\]++|\\.)*+"?+', re.DOTALL)
"""One that is never closed goes to the end: if it did not match, each quote inside it would begin
the search anew."""
_STEPS = bytes.maketrans(b"[{]}", b"\1\1\xff\xff")
"""One level down, one level up, as signed bytes."""
_NOT_BRACKETS = bytes(sorted(set(range(256)) - set(b"[]{}")))


class ClientGone(Exception):
    """The client closed the connection; there is nobody to answer."""


async def read_body(receive: Receive, declared: int | None, limits: LimitsSection) -> bytes:
    """Raises PayloadTooLarge before reading what is declared too large, RequestTimeout."""
    if declared is not None and declared > limits.body_bytes:
        raise _too_large(limits)
    body = bytearray()
    try:
        async with asyncio.timeout(limits.body_seconds):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ClientGone
                body += message.get("body", b"")
                if len(body) > limits.body_bytes:
                    raise _too_large(limits)
                if not message.get("more_body", False):
                    return bytes(body)
    except TimeoutError:
        raise RequestTimeout(
            f"the body did not arrive within {limits.body_seconds:g} seconds"
        ) from None


def _too_large(limits: LimitsSection) -> PayloadTooLarge:
    return PayloadTooLarge(
        f"the body is larger than {limits.body_bytes} bytes",
        hint="Send less, or raise limits.body_bytes.",
    )


def decode(body: bytes, record: type[Record], max_depth: int) -> Record:
    """Raises InvalidRequest naming the field."""
    if _depth(body, max_depth) > max_depth:
        raise InvalidRequest(f"the body nests deeper than {max_depth} levels")
    try:
        return msgspec.json.decode(body, type=record)
    except msgspec.ValidationError as error:
        _check_syntax(body)  # it may be the first of two faults, and the lesser one
        raise refusal(error, record) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise _malformed() from None


def _check_syntax(body: bytes) -> None:
    try:
        msgspec.json.decode(body, type=msgspec.Raw)
    except (msgspec.DecodeError, RecursionError):
        raise _malformed() from None


def _malformed() -> InvalidRequest:
    return InvalidRequest(
        "the body is not valid JSON in UTF-8", hint="Is it whole, and are its quotes double?"
    )


def _depth(body: bytes, enough: int) -> int:
    """How deep the brackets nest, those inside strings left out. Linear in the body."""
    if body.count(b"[") + body.count(b"{") <= enough:
        return 0
    brackets = _STRINGS.sub(b"", body).translate(_STEPS, _NOT_BRACKETS)
    return max(accumulate(memoryview(brackets).cast("b")), default=0)
