"""One method of one path, with what it takes and gives."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import msgspec

from stoker.api.dialect import OPENAI, Dialect
from stoker.api.exchange import Exchange


@dataclass(frozen=True, slots=True)
class Operation:
    method: str
    path: str
    summary: str
    endpoint: Callable[[Exchange], Awaitable[None]]
    request: type[msgspec.Struct] | None
    response: type[msgspec.Struct] | None
    dialect: Dialect = OPENAI
    media: str = "application/json"
    """Of what it takes."""
