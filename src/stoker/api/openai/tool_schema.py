"""The wire records of tools and their calls."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

FunctionName = Annotated[str, Meta(pattern="^[a-zA-Z0-9_.:-]{1,64}$")]
"""OpenAI's letters, and the two that others use for name spaces."""
CallId = Annotated[str, Meta(min_length=1, max_length=256)]


class FunctionDefinition(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    name: FunctionName
    description: str | None = None
    parameters: dict[str, Any] | None = None
    """A JSON schema of an object."""
    strict: bool | None = None


class Tool(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    type: Literal["function"]
    function: FunctionDefinition


class NamedFunction(msgspec.Struct, forbid_unknown_fields=True):
    name: FunctionName


class NamedToolChoice(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    type: Literal["function"]
    function: NamedFunction


class FunctionCall(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    name: FunctionName
    arguments: str
    """JSON, unless the model failed at it."""


class ToolCall(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    id: CallId
    type: Literal["function"] = "function"
    function: FunctionCall
    index: int | msgspec.UnsetType | None = msgspec.UNSET
    """Left by clients that joined a stream; without meaning."""
