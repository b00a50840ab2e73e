"""The wire records of POST /v1/chat/completions."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

import msgspec
from msgspec import Meta

from stoker.api.openai.content_logprobs import ContentLogprob
from stoker.api.openai.fields import Count, Ignored, SamplingFields
from stoker.api.openai.prompt_logprobs import PromptLogprobs
from stoker.api.openai.tool_schema import CallId, NamedToolChoice, Tool, ToolCall
from stoker.api.openai.usage import Usage


class ContentPart(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    type: str
    text: str | None = None
    image_url: Any = None
    input_audio: Any = None
    video_url: Any = None
    file: Any = None


class Message(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[ContentPart] | None = None
    name: str | None = None
    tool_calls: list[ToolCall] | None = None
    """Of an assistant."""
    tool_call_id: CallId | None = None
    """Of a tool: which call this is the result of."""
    reasoning_content: str | None = None
    """Of an assistant, as this server gave it."""
    function_call: Any = None
    audio: Any = None
    refusal: Ignored = msgspec.UNSET


class ChatRequest(SamplingFields, kw_only=True):
    messages: list[Message]
    max_completion_tokens: Count | None = None
    logprobs: bool | None = None
    top_logprobs: Count | None = None
    reasoning_effort: Annotated[str, Meta(max_length=32)] | None = None
    chat_template_kwargs: dict[str, Any] | None = None
    add_generation_prompt: bool | None = None
    """vLLM's: whether the prompt ends with the beginning of an answer. Default: it does."""
    continue_final_message: bool | None = None
    """vLLM's: the last message is the beginning of the answer."""

    tools: list[Tool] | None = None
    tool_choice: Literal["none", "auto", "required"] | NamedToolChoice | None = None
    parallel_tool_calls: bool | None = None
    """False: at most one call in an answer."""
    functions: Any = None
    function_call: Any = None
    modalities: Any = None
    audio: Any = None
    prediction: Any = None
    verbosity: Any = None
    web_search_options: Any = None
    chat_template: Any = None

    REFUSED: ClassVar[dict[str, tuple[object, ...]]] = {
        **SamplingFields.REFUSED,
        "functions": ([],),
        "function_call": ("none", "auto"),
        "modalities": (["text"],),
        "audio": (),
        "prediction": (),
        "verbosity": (),
        "web_search_options": (),
        "chat_template": (),
    }


class ChatLogprobs(msgspec.Struct, frozen=True):
    content: list[ContentLogprob]
    refusal: None = None


class AnswerMessage(msgspec.Struct, frozen=True):
    content: str | None
    """None where there are tool calls and nothing else."""
    role: Literal["assistant"] = "assistant"
    refusal: None = None
    reasoning_content: str | msgspec.UnsetType = msgspec.UNSET
    """What the model thought first, if it did."""
    tool_calls: list[ToolCall] | msgspec.UnsetType = msgspec.UNSET


class ChatChoice(msgspec.Struct, frozen=True):
    index: int
    message: AnswerMessage
    logprobs: ChatLogprobs | None
    finish_reason: str


class ChatCompletion(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    system_fingerprint: str
    choices: list[ChatChoice]
    usage: Usage
    prompt_logprobs: PromptLogprobs | msgspec.UnsetType = msgspec.UNSET
    """Only where they were asked for."""
