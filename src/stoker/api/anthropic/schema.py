"""The wire records of Anthropic's messages."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

import msgspec
from msgspec import Meta

from stoker.api.openai.fields import AtLeastOne, Ignored, Probability, Seed, TopK, TopP


class InputBlock(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Of any type: one that is not text is refused by its place."""

    type: str
    text: str | None = None
    cache_control: Ignored = msgspec.UNSET
    citations: Any = None

    source: Any = None
    title: Any = None
    context: Any = None
    id: Any = None
    name: Any = None
    input: Any = None
    caller: Any = None
    tool_use_id: Any = None
    content: Any = None
    is_error: Any = None
    thinking: Any = None
    signature: Any = None
    data: Any = None

    NOT_TEXT: ClassVar[tuple[str, ...]] = (
        "citations", "source", "title", "context", "id", "name", "input", "caller",
        "tool_use_id", "content", "is_error", "thinking", "signature", "data",
    )  # fmt: skip


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


class CountTokensRequest(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    model: str
    messages: list[InputMessage]
    system: str | list[InputBlock] | None = None
    output_config: OutputConfig | None = None

    cache_control: Ignored = msgspec.UNSET
    """What was computed for a prompt is kept for the next one by itself."""
    metadata: Ignored = msgspec.UNSET
    service_tier: Ignored = msgspec.UNSET
    user_profile_id: Ignored = msgspec.UNSET
    workspace_id: Ignored = msgspec.UNSET

    tools: Any = None
    tool_choice: Any = None
    thinking: Any = None
    speed: Any = None
    mcp_servers: Any = None
    context_management: Any = None

    REFUSED: ClassVar[dict[str, tuple[object, ...]]] = {
        "tools": ([],),
        "tool_choice": ({"type": "auto"}, {"type": "none"}),
        "thinking": ({"type": "disabled"}, {"type": "adaptive"}),
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


class TextBlock(msgspec.Struct, frozen=True):
    text: str
    type: Literal["text"] = "text"


class MessageUsage(msgspec.Struct, frozen=True):
    """All of a prompt is `input_tokens` and the two counts of cached ones together."""

    input_tokens: int
    output_tokens: int
    cache_read_input_tokens: int
    cache_creation_input_tokens: int = 0


class AssistantMessage(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    type: Literal["message"] = "message"
    role: Literal["assistant"] = "assistant"
    model: str
    content: list[TextBlock]
    stop_reason: str | None
    stop_sequence: str | None
    usage: MessageUsage


class TokenCount(msgspec.Struct, frozen=True):
    input_tokens: int
