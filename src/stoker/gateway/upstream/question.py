"""What a client asks a model of another server, as far as we must understand it."""

from __future__ import annotations

import enum
from collections.abc import Mapping

import msgspec


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
