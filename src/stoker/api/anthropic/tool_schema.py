"""The wire records of tools in Anthropic's interface."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import msgspec

from stoker.api.openai.fields import Ignored
from stoker.api.openai.tool_schema import FunctionName


class AnthropicTool(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    name: FunctionName
    type: str | None = None
    """`custom`: those that run at Anthropic have other types."""
    description: str | None = None
    input_schema: dict[str, Any] | None = None
    strict: bool | None = None
    cache_control: Ignored = msgspec.UNSET
    eager_input_streaming: Ignored = msgspec.UNSET
    """Arguments are always streamed as they are written."""

    input_examples: Any = None
    defer_loading: Any = None
    allowed_callers: Any = None

    REFUSED: ClassVar[dict[str, tuple[object, ...]]] = {
        "input_examples": ([],),
        "defer_loading": (False,),
        "allowed_callers": (["direct"],),
    }


class ToolChoice(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    type: Literal["auto", "any", "tool", "none"]
    name: FunctionName | None = None
    """Of the tool to call."""
    disable_parallel_tool_use: bool | None = None
    """At most one call in an answer."""
