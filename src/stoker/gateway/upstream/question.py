"""What a client asks a model of another server, as far as we must understand it."""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from stoker.errors import InvalidRequest


class Surface(enum.Enum):
    """Of OpenAI's; the value is its path below the backend's address."""

    CHAT = "chat/completions"
    COMPLETIONS = "completions"


class Question(msgspec.Struct, frozen=True, kw_only=True):
    surface: Surface
    fields: Mapping[str, msgspec.Raw]
    """The client's body, each value as it was written."""
    stream: bool
    wants_usage: bool
    """The client asked for usage in the stream; we always do."""
    choices: int = 1
    """How many answers are asked for."""
    most_tokens: int | None = None
    """Of each choice, to be written over what the client named; None: as the client said."""


def encoded(value: object) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(value))


REFUSED_FIELDS = frozenset({"api_base", "api_key", "base_url"})
"""Some proxies take these as the address and key to use: a client must not choose either."""

_SCHEME = re.compile(r"[\s\x00-\x20]*(?:[a-z][a-z0-9+.-]+:|[/\\]{2})", re.IGNORECASE)


def check_fields(fields: Iterable[str]) -> None:
    """Raises InvalidRequest."""
    for name in REFUSED_FIELDS.intersection(fields):
        raise InvalidRequest(f"'{name}' cannot be chosen by a client", param=name)


def check_part(part: Any, where: str) -> None:
    """Raises InvalidRequest for a part of a message that holds an address: nobody is made to fetch
    what a client names (see docs/how-to/backends.md)."""
    if isinstance(part, dict):
        for name, value in part.items():
            if name == "text":
                continue
            if isinstance(value, str) and not _harmless(name, value):
                raise InvalidRequest(
                    f"'{where}' holds an address; only data: is taken",
                    param=where,
                    hint="Send the picture itself, as data:image/png;base64,...",
                )
            check_part(value, where)
    elif isinstance(part, list):
        for inner in part:
            check_part(inner, where)


def _harmless(name: str, value: str) -> bool:
    if value[:5].lower() == "data:":
        return True
    return "url" not in name.lower() and _SCHEME.match(value) is None
