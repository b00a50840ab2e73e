"""The wire records of Ollama's interface for text."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import msgspec

from stoker.api.ollama.options import OllamaOptions
from stoker.api.openai.content_logprobs import ContentLogprob
from stoker.api.openai.fields import Count, Ignored
from stoker.api.openai.tool_schema import CallId, FunctionDefinition, FunctionName


class OllamaRequest(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What both kinds of request share. Here a stream is the rule, not the exception."""

    model: str
    stream: bool | None = None
    options: OllamaOptions | None = None
    format: Any = None
    think: bool | Literal["low", "medium", "high"] | None = None
    """Whether the model is to think, and how hard; None: as it does by itself."""
    logprobs: bool | None = None
    top_logprobs: Count | None = None
    keep_alive: Ignored = msgspec.UNSET
    """When a model sleeps is the operator's to say."""


class CalledFunction(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    name: FunctionName
    arguments: msgspec.Raw
    """An object."""
    index: Ignored = msgspec.UNSET
    description: Ignored = msgspec.UNSET


class OllamaCall(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    function: CalledFunction
    id: CallId | None = None
    """Most of its clients have none."""
    type: Literal["function"] = "function"


class OllamaMessage(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    role: Literal["system", "user", "assistant", "tool"]
    content: str | None = None

    tool_calls: list[OllamaCall] | None = None
    """Of an assistant."""
    thinking: str | None = None
    """Of an assistant, as this server gave it."""
    tool_name: str | None = None
    """Of a tool."""
    tool_call_id: str | None = None
    """Of a tool. Without one it is the result of the next call that has none yet."""

    images: Any = None

    REFUSED: ClassVar[dict[str, tuple[object, ...]]] = {"images": ([],)}


class OllamaTool(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    function: FunctionDefinition
    type: Literal["function"] = "function"
    items: Ignored = msgspec.UNSET


class OllamaChatRequest(OllamaRequest, kw_only=True):
    messages: list[OllamaMessage]
    tools: list[OllamaTool] | None = None


class OllamaGenerateRequest(OllamaRequest, kw_only=True):
    prompt: str
    system: str | None = None
    raw: bool | None = None
    """Whether the prompt is taken as it is, without the model's template."""

    suffix: Any = None
    template: Any = None
    context: Any = None
    images: Any = None
    width: Any = None
    height: Any = None
    steps: Any = None

    REFUSED: ClassVar[dict[str, tuple[object, ...]]] = {
        "suffix": ("",),
        "template": ("",),
        "context": ([],),
        "images": ([],),
        "width": (0,),
        "height": (0,),
        "steps": (0,),
    }


class AnsweredFunction(msgspec.Struct, frozen=True, kw_only=True):
    index: int
    name: str
    arguments: msgspec.Raw
    """An object."""


class AnsweredCall(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    function: AnsweredFunction


class SaidMessage(msgspec.Struct, frozen=True):
    content: str
    role: Literal["assistant"] = "assistant"
    thinking: str | msgspec.UnsetType = msgspec.UNSET
    tool_calls: list[AnsweredCall] | msgspec.UnsetType = msgspec.UNSET


class OllamaAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Of a chat with `message`, else with `response`. Durations in nanoseconds."""

    model: str
    created_at: str
    message: SaidMessage | msgspec.UnsetType = msgspec.UNSET
    response: str | msgspec.UnsetType = msgspec.UNSET
    thinking: str | msgspec.UnsetType = msgspec.UNSET
    """Beside `response`; a message has its own."""
    logprobs: list[ContentLogprob] | msgspec.UnsetType = msgspec.UNSET
    done: Literal[True] = True
    done_reason: str
    total_duration: int
    load_duration: int
    prompt_eval_count: int
    prompt_eval_duration: int
    eval_count: int
    eval_duration: int
