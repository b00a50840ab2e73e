"""The fields that say what an answer must look like."""

from __future__ import annotations

from typing import Any, Literal

import msgspec


class JsonSchemaFormat(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    name: str | None = None
    description: str | None = None
    schema: Any = None
    strict: bool | None = None
    """Without effect: what is asked for is always enforced."""


class ResponseFormat(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    type: Literal["text", "json_object", "json_schema", "json", "regex"]
    """The last two are TGI's."""
    json_schema: JsonSchemaFormat | None = None
    schema: Any = None
    """llama.cpp's place for the schema."""
    value: Any = None
    """TGI's place for the schema, or for the expression."""


class StructuredOutputs(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """vLLM's: exactly one of them."""

    json: Any = None
    regex: str | None = None
    choice: list[str] | None = None
    grammar: str | None = None
    json_object: bool | None = None


def schema_format(schema: Any) -> ResponseFormat:
    """What asks for JSON that follows `schema`."""
    return ResponseFormat(type="json_schema", json_schema=JsonSchemaFormat(schema=schema))
