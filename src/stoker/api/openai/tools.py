"""The tools of a chat request, checked: what the model is told of, and how it may call."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from stoker.api.openai.chat_schema import ChatRequest
from stoker.api.openai.tool_schema import NamedToolChoice, Tool
from stoker.config.schema import LimitsSection
from stoker.errors import InvalidRequest, UnsupportedConstraint

NO_PARAMETERS = {"type": "object", "properties": {}}


class ToolUse(msgspec.Struct, frozen=True):
    told: tuple[dict[str, Any], ...]
    """As templates take them."""
    most_calls: int
    """In one answer."""
    forced: tuple[dict[str, Any], ...] = ()
    """Those of which at least one has to be called, with what is `strict`."""


def tool_use(request: ChatRequest, limits: LimitsSection) -> ToolUse | None:
    """None where the model is to call nothing. Raises RequestError."""
    tools = request.tools or []
    if len(tools) > limits.tools:
        raise InvalidRequest(f"'tools' has more than {limits.tools} entries", param="tools")
    told = tuple(_told(tool, f"tools[{number}]") for number, tool in enumerate(tools))
    _check_names(tools)
    _check_choice(request, tools)
    if not tools or request.tool_choice == "none":
        return None
    forced = tuple(_forced(request, tools, told))
    if not forced:
        _refuse_strict(tools)
    single = request.parallel_tool_calls is False or isinstance(
        request.tool_choice, NamedToolChoice
    )
    return ToolUse(told, 1 if single else sys.maxsize, forced)


def _forced(
    request: ChatRequest, tools: Sequence[Tool], told: Sequence[dict[str, Any]]
) -> Iterator[dict[str, Any]]:
    choice = request.tool_choice
    name = choice.function.name if isinstance(choice, NamedToolChoice) else None
    if name is None and choice != "required":
        return
    for tool, shown in zip(tools, told, strict=True):
        if name in (None, tool.function.name):
            strict = bool(tool.function.strict)
            yield {**shown, "function": {**shown["function"], "strict": strict}}


def _refuse_strict(tools: Sequence[Tool]) -> None:
    for number, tool in enumerate(tools):
        if tool.function.strict:
            place = f"tools[{number}].function.strict"
            raise UnsupportedConstraint(
                f"'{place}' is not supported where the model may answer in words",
                param=place,
                hint="Leave it out, or force a call with 'tool_choice'.",
            )


def _told(tool: Tool, place: str) -> dict[str, Any]:
    function = tool.function
    told: dict[str, Any] = {"name": function.name}
    if function.description is not None:
        told["description"] = function.description
    told["parameters"] = _parameters(function.parameters, f"{place}.function.parameters")
    return {"type": "function", "function": told}


def _parameters(schema: dict[str, Any] | None, place: str) -> dict[str, Any]:
    """Templates walk it without looking, so its outermost form is checked here."""
    if not schema:
        return NO_PARAMETERS
    if schema.get("type", "object") != "object":
        raise InvalidRequest(f"'{place}' must describe an object", param=f"{place}.type")
    properties = schema.get("properties", {})
    if not isinstance(properties, dict):
        raise InvalidRequest(f"'{place}.properties' must be an object", param=f"{place}.properties")
    for name, described in properties.items():
        if not isinstance(described, dict | bool):
            raise InvalidRequest(
                f"a property in '{place}' is not described by an object",
                param=f"{place}.properties",
                hint=f"Correct '{name[:64]}'.",
            )
    required = schema.get("required", [])
    if not isinstance(required, list) or not all(isinstance(name, str) for name in required):
        raise InvalidRequest(
            f"'{place}.required' must be a list of names", param=f"{place}.required"
        )
    return {"type": "object", "properties": {}, **schema}


def _check_names(tools: Sequence[Tool]) -> None:
    seen: set[str] = set()
    for number, tool in enumerate(tools):
        name = tool.function.name
        if name in seen:
            raise InvalidRequest(
                f"two tools have the name '{name}'", param=f"tools[{number}].function.name"
            )
        seen.add(name)


def _check_choice(request: ChatRequest, tools: Sequence[Tool]) -> None:
    choice = request.tool_choice
    if choice in (None, "none", "auto"):
        return
    if not tools:
        raise InvalidRequest("'tool_choice' needs 'tools'", param="tool_choice")
    if isinstance(choice, NamedToolChoice):
        name = choice.function.name
        if name not in {tool.function.name for tool in tools}:
            raise InvalidRequest(
                f"'tool_choice' names '{name}', which is not among the tools",
                param="tool_choice.function.name",
            )
