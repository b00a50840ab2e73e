"""The wire records of Ollama's interface for text."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import msgspec

from stoker.api.ollama.options import OllamaOptions
from stoker.api.openai.content_logprobs import ContentLogprob
from stoker.api.openai.fields import Count, Ignored


class OllamaRequest(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What both kinds of request share. Here a stream is the rule, not the exception."""

    model: str
    stream: bool | None = None
    options: OllamaOptions | None = None
    format: Any = None
    think: Any = None
    logprobs: bool | None = None
    top_logprobs: Count | None = None
    keep_alive: Ignored = msgspec.UNSET
    """When a model sleeps is the operator's to say."""

    REFUSED: ClassVar[dict[str, tuple[object, ...]]] = {"think": (False,)}


class OllamaMessage(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    role: Literal["system", "user", "assistant", "tool"]
    content: str | None = None

    images: Any = None
    tool_calls: Any = None
    tool_name: Any = None
    tool_call_id: Any = None
    thinking: Any = None

    REFUSED: ClassVar[dict[str, tuple[object, ...]]] = {
        "images": ([],),
        "tool_calls": ([],),
        "tool_name": ("",),
        "tool_call_id": ("",),
        "thinking": ("",),
    }


class OllamaChatRequest(OllamaRequest, kw_only=True):
    messages: list[OllamaMessage]
    tools: Any = None

    REFUSED: ClassVar[dict[str, tuple[object, ...]]] = {**OllamaRequest.REFUSED, "tools": ([],)}


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
        **OllamaRequest.REFUSED,
        "suffix": ("",),
        "template": ("",),
        "context": ([],),
        "images": ([],),
        "width": (0,),
        "height": (0,),
        "steps": (0,),
    }


class SaidMessage(msgspec.Struct, frozen=True):
    content: str
    role: Literal["assistant"] = "assistant"


class OllamaAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Of a chat with `message`, else with `response`. Durations in nanoseconds."""

    model: str
    created_at: str
    message: SaidMessage | msgspec.UnsetType = msgspec.UNSET
    response: str | msgspec.UnsetType = msgspec.UNSET
    logprobs: list[ContentLogprob] | msgspec.UnsetType = msgspec.UNSET
    done: Literal[True] = True
    done_reason: str
    total_duration: int
    load_duration: int
    prompt_eval_count: int
    prompt_eval_duration: int
    eval_count: int
    eval_duration: int
