"""The tools of one request, as far as reading its answer needs them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any


class OfferedTools:
    def __init__(self, tools: Sequence[Mapping[str, Any]]) -> None:
        """In the shape of OpenAI's `tools`."""
        self._parameters: dict[str, Mapping[str, Any]] = {}
        for tool in tools:
            function = tool["function"]
            schema = function.get("parameters")
            properties = schema.get("properties") if isinstance(schema, Mapping) else None
            name: str = function["name"]
            self._parameters[name] = properties if isinstance(properties, Mapping) else {}

    @property
    def names(self) -> frozenset[str]:
        return frozenset(self._parameters)

    def of(self, name: str) -> Callable[[str], frozenset[str]]:
        """By argument the JSON types it may have; none where the schema does not say."""
        parameters = self._parameters.get(name, {})

        def types(key: str) -> frozenset[str]:
            schema = parameters.get(key)
            return types_of(schema) if isinstance(schema, Mapping) else frozenset()

        return types


_NAMES = {str: "string", bool: "boolean", int: "integer", float: "number", type(None): "null"}


def types_of(schema: Mapping[str, Any]) -> frozenset[str]:
    declared = schema.get("type")
    if isinstance(declared, str):
        return frozenset([declared])
    if isinstance(declared, list):
        return frozenset(entry for entry in declared if isinstance(entry, str))
    choices = schema.get("enum")
    if isinstance(choices, list):
        return frozenset(_NAMES.get(type(choice), "object") for choice in choices)
    return frozenset()
