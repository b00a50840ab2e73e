"""Anthropic's tools as ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from stoker.api.anthropic.tool_schema import AnthropicTool, ToolChoice
from stoker.api.openai.fields import refuse_unsupported
from stoker.api.openai.tool_schema import FunctionDefinition, NamedFunction, NamedToolChoice, Tool
from stoker.errors import InvalidRequest, UnsupportedConstraint

OurChoice = Literal["none", "auto", "required"] | NamedToolChoice

TOOL_NAMES: Mapping[str, str] = {
    "tools[].function.parameters": "tools[].input_schema",
    "tools[].function": "tools[]",
    "tool_choice.function": "tool_choice",
}
"""Fields of our tools that may be refused later: as clients know them."""


def our_tools(tools: Sequence[AnthropicTool] | None) -> list[Tool] | None:
    """Raises RequestError naming the place."""
    if tools is None:
        return None
    return [_tool(tool, f"tools[{number}]") for number, tool in enumerate(tools)]


def our_choice(choice: ToolChoice | None) -> OurChoice | None:
    """Raises InvalidRequest."""
    if choice is None:
        return None
    if (choice.type == "tool") is not (choice.name is not None):
        raise InvalidRequest(
            "'tool_choice.name' belongs to the type 'tool', and is required there",
            param="tool_choice.name",
        )
    if choice.name is not None:
        return NamedToolChoice(type="function", function=NamedFunction(choice.name))
    return "required" if choice.type == "any" else choice.type  # type: ignore[return-value]


def _tool(tool: AnthropicTool, place: str) -> Tool:
    if tool.type not in (None, "custom"):
        raise UnsupportedConstraint(
            f"'{place}.type' is not supported",
            param=f"{place}.type",
            hint="Only tools of type 'custom', which the client runs, can be offered.",
        )
    refuse_unsupported(tool, f"{place}.")
    if tool.input_schema is None:
        where = f"{place}.input_schema"
        raise InvalidRequest(f"'{where}' is required", param=where)
    function = FunctionDefinition(
        name=tool.name,
        description=tool.description,
        parameters=tool.input_schema,
        strict=tool.strict,
    )
    return Tool(type="function", function=function)
