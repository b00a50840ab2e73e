"""The wire records of POST /v1/responses: what is asked."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

import msgspec
from msgspec import Meta

from stoker.api.openai.fields import (
    AtLeastOne,
    Count,
    Ignored,
    Seed,
    StreamOptions,
    Temperature,
    TopP,
)
from stoker.api.openai.response_tools import ResponseTool, ResponseToolChoice
from stoker.api.openai.tool_schema import CallId, FunctionName


class ResponsePart(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Of any type: one that is not text is refused by its place."""

    type: str
    text: str | None = None
    annotations: Ignored = msgspec.UNSET
    logprobs: Ignored = msgspec.UNSET
    prompt_cache_breakpoint: Ignored = msgspec.UNSET

    refusal: Any = None
    image_url: Any = None
    detail: Any = None
    file_id: Any = None
    file_data: Any = None
    file_url: Any = None
    filename: Any = None
    input_audio: Any = None


class ResponseItem(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Of any type; which fields belong to which is said in response_input.py."""

    type: str = "message"
    role: Literal["system", "developer", "user", "assistant"] | None = None
    content: str | list[ResponsePart] | None = None
    """Of a message, and of reasoning."""
    id: Ignored = msgspec.UNSET
    status: Ignored = msgspec.UNSET
    phase: Ignored = msgspec.UNSET

    call_id: CallId | None = None
    name: FunctionName | None = None
    arguments: str | None = None
    output: str | list[ResponsePart] | None = None
    """Of a call."""
    summary: Any = None

    namespace: Any = None
    caller: Any = None
    input: Any = None
    encrypted_content: Any = None
    action: Any = None


class Reasoning(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    effort: Annotated[str, Meta(max_length=32)] | None = None
    summary: Literal["auto"] | None = None


class OutputFormat(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    type: Literal["text", "json_object", "json_schema"]
    name: str | None = None
    schema: Any = None
    strict: bool | None = None
    description: Ignored = msgspec.UNSET


class TextField(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    format: OutputFormat | None = None
    verbosity: Any = None

    REFUSED: ClassVar[dict[str, tuple[object, ...]]] = {"verbosity": ("medium",)}


class ResponsesRequest(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    model: str | None = None
    input: str | list[ResponseItem]
    instructions: str | None = None
    max_output_tokens: AtLeastOne | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    temperature: Temperature | None = None
    top_p: TopP | None = None
    top_logprobs: Count | None = None
    seed: Seed | None = None
    """Ours: every surface takes one."""
    reasoning: Reasoning | None = None
    text: TextField | None = None
    tools: list[ResponseTool] | None = None
    tool_choice: Literal["none", "auto", "required"] | ResponseToolChoice | None = None
    parallel_tool_calls: bool | None = None
    """False: at most one call in an answer."""
    metadata: dict[str, str] | None = None
    """Repeated in the answer."""
    include: list[
        Literal["message.output_text.logprobs", "reasoning.encrypted_content"]
    ] | None = None  # fmt: skip

    user: Ignored = msgspec.UNSET
    service_tier: Ignored = msgspec.UNSET
    safety_identifier: Ignored = msgspec.UNSET
    max_tool_calls: Ignored = msgspec.UNSET
    prompt_cache_key: Ignored = msgspec.UNSET
    prompt_cache_retention: Ignored = msgspec.UNSET
    prompt_cache_options: Ignored = msgspec.UNSET

    previous_response_id: Any = None
    conversation: Any = None
    prompt: Any = None
    store: Any = None
    background: Any = None
    truncation: Any = None
    context_management: Any = None
    moderation: Any = None

    REFUSED: ClassVar[dict[str, tuple[object, ...]]] = {
        "previous_response_id": (),
        "conversation": (),
        "prompt": (),
        "store": (False,),
        "background": (False,),
        "truncation": ("disabled",),
        "context_management": ([],),
        "moderation": (),
    }
