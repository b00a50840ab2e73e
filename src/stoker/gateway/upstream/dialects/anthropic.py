"""Anthropic's Messages API, behind OpenAI's chat completions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from stoker.errors import UnsupportedConstraint
from stoker.gateway.upstream.dialects.anthropic_answer import AnthropicReader
from stoker.gateway.upstream.dialects.anthropic_fields import Fields, NamedTool, read_fields
from stoker.gateway.upstream.dialects.anthropic_messages import system_of, turns_of
from stoker.gateway.upstream.dialects.interface import Letter
from stoker.gateway.upstream.question import Question, Surface

VERSION = "2023-06-01"
DEFAULT_TOKENS = 4096
"""Anthropic wants a length; OpenAI's clients need not name one."""
_CHOICES = {"auto": "auto", "none": "none", "required": "any"}


class Anthropic:
    def headers(self, api_key: str | None) -> Mapping[str, str]:
        found = {"content-type": "application/json", "anthropic-version": VERSION}
        return found if api_key is None else {**found, "x-api-key": api_key}

    def letter(self, question: Question, model: str) -> Letter:
        if question.surface is not Surface.CHAT:
            raise UnsupportedConstraint(
                "this model answers conversations only", hint="Use POST /v1/chat/completions."
            )
        fields = read_fields(dict(question.fields))
        asked = fields.max_completion_tokens or fields.max_tokens or DEFAULT_TOKENS
        body: dict[str, Any] = {
            "model": model,
            "max_tokens": asked if question.most_tokens is None else question.most_tokens,
            "messages": turns_of(fields.messages),
            "system": system_of(fields.messages) or None,
            "stream": question.stream,
            "temperature": fields.temperature,
            "top_p": fields.top_p,
            "top_k": fields.top_k,
            "stop_sequences": [fields.stop] if isinstance(fields.stop, str) else fields.stop,
            "tools": _tools(fields),
            "tool_choice": _tool_choice(fields),
            "metadata": {"user_id": fields.user} if fields.user else None,
        }
        given = {name: value for name, value in body.items() if value is not None}
        return Letter("messages", msgspec.json.encode(given))

    def reader(self, question: Question) -> AnthropicReader:
        return AnthropicReader(question)


def _tools(fields: Fields) -> list[dict[str, Any]] | None:
    tools: list[dict[str, Any]] = []
    for tool in fields.tools or ():
        function = tool.function
        schema = function.parameters or {"type": "object", "properties": {}}
        about = {} if function.description is None else {"description": function.description}
        tools.append({"name": function.name, **about, "input_schema": schema})
    return tools or None


def _tool_choice(fields: Fields) -> dict[str, Any] | None:
    if not fields.tools:
        return None
    choice: dict[str, Any] = {"type": "auto"}
    if isinstance(fields.tool_choice, NamedTool):
        choice = {"type": "tool", "name": fields.tool_choice.function.name}
    elif fields.tool_choice is not None:
        choice = {"type": _CHOICES[fields.tool_choice]}
    elif fields.parallel_tool_calls is None:
        return None
    if fields.parallel_tool_calls is False and choice["type"] != "none":
        choice["disable_parallel_tool_use"] = True
    return choice
