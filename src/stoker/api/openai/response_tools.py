"""Tools of a response: chat completions have the same, a level deeper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import msgspec

from stoker.api.openai.fields import refuse_unsupported
from stoker.api.openai.tool_schema import (
    FunctionDefinition,
    FunctionName,
    NamedFunction,
    NamedToolChoice,
    Tool,
)
from stoker.errors import InvalidRequest, UnsupportedConstraint

TOOL_NAMES: Mapping[str, str] = {
    "tools[].function": "tools[]",
    "tool_choice.function": "tool_choice",
}
"""Fields of tools that may be refused later: as clients know them."""


class ResponseTool(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    type: str
    """`function`: those that run at OpenAI have other types."""
    name: FunctionName | None = None
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None

    allowed_callers: Any = None
    defer_loading: Any = None
    output_schema: Any = None

    REFUSED: ClassVar[dict[str, tuple[object, ...]]] = {
        "allowed_callers": (["direct"],),
        "defer_loading": (False,),
        "output_schema": (),
    }


class ResponseToolChoice(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    type: Literal["function"]
    name: FunctionName


def our_tools(tools: Sequence[ResponseTool] | None) -> list[Tool] | None:
    """Raises RequestError naming the place."""
    if tools is None:
        return None
    return [_tool(tool, f"tools[{number}]") for number, tool in enumerate(tools)]


def our_choice(
    choice: Literal["none", "auto", "required"] | ResponseToolChoice | None,
) -> Literal["none", "auto", "required"] | NamedToolChoice | None:
    if isinstance(choice, ResponseToolChoice):
        return NamedToolChoice(type="function", function=NamedFunction(choice.name))
    return choice


def _tool(tool: ResponseTool, place: str) -> Tool:
    if tool.type != "function":
        raise UnsupportedConstraint(
            f"'{place}.type' is not supported",
            param=f"{place}.type",
            hint="Only tools of type 'function', which the client runs, can be offered.",
        )
    refuse_unsupported(tool, f"{place}.")
    if tool.name is None:
        raise InvalidRequest(f"'{place}.name' is required", param=f"{place}.name")
    function = FunctionDefinition(
        name=tool.name,
        description=tool.description,
        parameters=tool.parameters,
        strict=tool.strict,
    )
    return Tool(type="function", function=function)
