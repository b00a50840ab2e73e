"""A request of Ollama's interface as ours, with what both of its kinds share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from stoker.api.ollama.options import OllamaOptions, our_options
from stoker.api.ollama.schema import OllamaRequest
from stoker.api.openai.chat_schema import ChatRequest, Message
from stoker.api.openai.completion_schema import CompletionRequest
from stoker.api.openai.response_format import ResponseFormat, schema_format
from stoker.api.openai.thinking import thinking_variables
from stoker.api.openai.tool_schema import Tool
from stoker.api.surface import Asked

NAMES = {
    "max_tokens": "options.num_predict",
    "stop": "options.stop",
    "response_format.json_schema.schema": "format",
    "response_format": "format",
    "thinking": "think",
}
"""Fields of ours that may be refused later: as its clients know them."""


def conversation(
    body: OllamaRequest, messages: Sequence[Message], tools: list[Tool] | None = None
) -> Asked:
    """Raises RequestError."""
    options = our_options(body.options or OllamaOptions())
    thinks = None if body.think is None else bool(body.think)
    request = ChatRequest(
        model=body.model,
        messages=list(messages),
        stream=_streamed(body),
        logprobs=body.logprobs,
        top_logprobs=body.top_logprobs,
        response_format=_response_format(body.format),
        reasoning_effort=body.think if isinstance(body.think, str) else None,
        chat_template_kwargs=thinking_variables(thinks),
        tools=tools,
        **options.fields,
    )
    return Asked(request, options.length, in_parts=True, must_think=bool(thinks))


def plain_text(body: OllamaRequest, prompt: str) -> Asked:
    """Raises RequestError."""
    options = our_options(body.options or OllamaOptions())
    request = CompletionRequest(
        model=body.model,
        prompt=prompt,
        stream=_streamed(body),
        logprobs=(body.top_logprobs or 0) if body.logprobs else None,
        response_format=_response_format(body.format),
        **options.fields,
    )
    return Asked(request, options.length)


def _streamed(body: OllamaRequest) -> bool:
    return body.stream is not False


def _response_format(wanted: Any) -> ResponseFormat | None:
    """`json`, or a schema."""
    if wanted in (None, ""):
        return None
    if wanted == "json":
        return ResponseFormat(type="json_object")
    return schema_format(wanted)
