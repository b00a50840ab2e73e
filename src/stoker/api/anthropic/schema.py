"""The wire records of Anthropic's messages: what is asked."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

import msgspec
from msgspec import Meta

from stoker.api.anthropic.tool_schema import AnthropicTool, ToolChoice
from stoker.api.openai.fields import AtLeastOne, Ignored, Probability, Seed, TopK, TopP
from stoker.api.openai.tool_schema import CallId, FunctionName


class InputBlock(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Of any type; which fields belong to which is said in blocks.py."""

    type: str
    cache_control: Ignored = msgspec.UNSET
    text: str | None = None

    thinking: str | None = None
    """As this server gave it."""
    signature: str | None = None
    """Not checked."""

    id: CallId | None = None
    name: FunctionName | None = None
    input: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    """An object."""

    tool_use_id: CallId | None = None
    content: str | list[InputBlock] | None = None
    is_error: bool | None = None

    citations: Any = None
    caller: Any = None
    toolset_name: Any = None
    source: Any = None
    title: Any = None
    context: Any = None
    data: Any = None


class InputMessage(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    role: Literal["user", "assistant", "system"]
    content: str | list[InputBlock]


class MessageFormat(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    type: Literal["json_schema"]
    schema: Any


class OutputConfig(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    effort: Annotated[str, Meta(max_length=32)] | None = None
    """For templates that know it."""
    format: MessageFormat | None = None


class Thinking(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    type: Literal["enabled", "disabled", "adaptive"]
    budget_tokens: Annotated[int, Meta(ge=1024, le=2**31 - 1)] | None = None
    """A wish, at Anthropic too: `max_tokens` bounds thinking and answer together."""
    display: Literal["summarized"] | None = None
    """All of the thinking is shown."""


class CountTokensRequest(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    model: str
    messages: list[InputMessage]
    system: str | list[InputBlock] | None = None
    output_config: OutputConfig | None = None
    tools: list[AnthropicTool] | None = None
    tool_choice: ToolChoice | None = None
    thinking: Thinking | None = None

    cache_control: Ignored = msgspec.UNSET
    """What was computed for a prompt is kept for the next one by itself."""
    metadata: Ignored = msgspec.UNSET
    service_tier: Ignored = msgspec.UNSET
    user_profile_id: Ignored = msgspec.UNSET
    workspace_id: Ignored = msgspec.UNSET

    speed: Any = None
    mcp_servers: Any = None
    context_management: Any = None

    REFUSED: ClassVar[dict[str, tuple[object, ...]]] = {
        "speed": ("standard",),
        "mcp_servers": ([],),
        "context_management": (),
    }


class MessagesRequest(CountTokensRequest, kw_only=True):
    max_tokens: AtLeastOne
    stream: bool | None = None
    stop_sequences: list[str] | None = None
    temperature: Probability | None = None
    top_p: TopP | None = None
    top_k: TopK | None = None
    seed: Seed | None = None
    """Ours: every surface takes one."""

    container: Any = None
    diagnostics: Any = None
    inference_geo: Any = None

    REFUSED: ClassVar[dict[str, tuple[object, ...]]] = {
        **CountTokensRequest.REFUSED,
        "container": (),
        "diagnostics": (),
        "inference_geo": (),
    }
