"""The parts of OpenAI's chat request that have a counterpart in Anthropic's; anything else is
refused by name, because leaving it out would change the answer."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from stoker.errors import UnsupportedConstraint


class FunctionCall(msgspec.Struct):
    name: str
    arguments: str = "{}"


class ToolCall(msgspec.Struct):
    id: str
    function: FunctionCall


class Message(msgspec.Struct):
    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[dict[str, Any]] | None = None
    tool_calls: list[ToolCall] | None = None
    tool_call_id: str = ""


class Function(msgspec.Struct):
    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None


class Tool(msgspec.Struct):
    function: Function
    type: Literal["function"] = "function"


class NamedTool(msgspec.Struct):
    function: FunctionCall


class ResponseFormat(msgspec.Struct):
    type: Literal["text"]


class Fields(msgspec.Struct, forbid_unknown_fields=True):
    model: str
    messages: list[Message]
    stream: bool | None = None
    stream_options: Any = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    stop: str | list[str] | None = None
    tools: list[Tool] | None = None
    tool_choice: Literal["auto", "none", "required"] | NamedTool | None = None
    parallel_tool_calls: bool | None = None
    user: str | None = None
    n: Literal[1] | None = None
    response_format: ResponseFormat | None = None
    logprobs: Literal[False] | None = None
    presence_penalty: Annotated[float, msgspec.Meta(ge=0, le=0)] | None = None
    frequency_penalty: Annotated[float, msgspec.Meta(ge=0, le=0)] | None = None
    metadata: Any = None
    store: Any = None
    service_tier: Any = None
    safety_identifier: Any = None
    prompt_cache_key: Any = None
    prompt_cache_retention: Any = None


NAMES = frozenset(Fields.__struct_fields__)


def read_fields(body: dict[str, msgspec.Raw]) -> Fields:
    """Raises UnsupportedConstraint naming what Anthropic has no counterpart for."""
    for name, value in body.items():
        if name not in NAMES and bytes(value) not in (b"null", b"false", b"[]", b"{}"):
            raise _unsupported(name)
    known = {name: value for name, value in body.items() if name in NAMES}
    try:
        return msgspec.json.decode(msgspec.json.encode(known), type=Fields)
    except msgspec.ValidationError as error:
        name = str(error).rpartition("$.")[2].rstrip("`").partition("[")[0].partition(".")[0]
        raise _unsupported(name if name in NAMES else "messages") from None


def _unsupported(name: str) -> UnsupportedConstraint:
    shown = name[:64]
    return UnsupportedConstraint(
        f"'{shown}' as it is here has no counterpart in the protocol of this model's server",
        param=shown,
        hint="Leave it out, or ask for a model of another server.",
    )
