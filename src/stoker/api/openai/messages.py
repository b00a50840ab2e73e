"""Chat messages checked and brought to the plain form that templates read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from stoker.api.openai.chat_schema import ContentPart, Message
from stoker.api.openai.tool_schema import ToolCall
from stoker.config.schema import LimitsSection
from stoker.errors import InvalidRequest, UnsupportedConstraint

_UNSUPPORTED = ("function_call", "audio")
_OF_ROLE = {"tool_calls": "assistant", "reasoning_content": "assistant", "tool_call_id": "tool"}


def plain_messages(messages: Sequence[Message], limits: LimitsSection) -> list[dict[str, Any]]:
    """Each with a role and text, and what belongs to calls of tools. Raises RequestError naming
    the place."""
    if not messages:
        raise InvalidRequest("'messages' is empty", param="messages")
    if len(messages) > limits.messages:
        raise InvalidRequest(
            f"'messages' has more than {limits.messages} entries", param="messages"
        )
    return [
        _plain(message, f"messages[{position}]", limits)
        for position, message in enumerate(messages)
    ]


def _plain(message: Message, place: str, limits: LimitsSection) -> dict[str, Any]:
    for name in _UNSUPPORTED:
        if getattr(message, name) not in (None, []):
            raise UnsupportedConstraint(
                f"'{place}.{name}' is not supported",
                param=f"{place}.{name}",
                hint="Send messages of text only.",
            )
    _check_fields(message, place)
    role = "system" if message.role == "developer" else message.role
    plain: dict[str, Any] = {"role": role, "content": _content(message, place, limits)}
    if message.tool_calls:
        plain["tool_calls"] = _calls(message.tool_calls, f"{place}.tool_calls", limits)
    for name in ("name", "tool_call_id", "reasoning_content"):
        if getattr(message, name) is not None:
            plain[name] = getattr(message, name)
    return plain


def _check_fields(message: Message, place: str) -> None:
    for name, role in _OF_ROLE.items():
        if getattr(message, name) and message.role != role:
            raise InvalidRequest(
                f"'{place}.{name}' belongs to messages with role '{role}'", param=f"{place}.{name}"
            )
    if message.role == "tool" and message.tool_call_id is None:
        where = f"{place}.tool_call_id"
        raise InvalidRequest(f"'{where}' is required", param=where)


def _content(message: Message, place: str, limits: LimitsSection) -> str:
    if message.content in (None, "", []) and (message.tool_calls or message.reasoning_content):
        return ""
    return _text(message.content, f"{place}.content", limits)


def _calls(calls: Sequence[ToolCall], place: str, limits: LimitsSection) -> list[dict[str, Any]]:
    if len(calls) > limits.tools:
        raise InvalidRequest(f"'{place}' has more than {limits.tools} entries", param=place)
    return [
        {
            "id": call.id,
            "type": "function",
            "function": {"name": call.function.name, "arguments": call.function.arguments},
        }
        for call in calls
    ]


def _text(content: str | list[ContentPart] | None, place: str, limits: LimitsSection) -> str:
    if isinstance(content, str):
        return content
    if not content:
        raise InvalidRequest(f"'{place}' is empty", param=place)
    if len(content) > limits.content_parts:
        raise InvalidRequest(f"'{place}' has more than {limits.content_parts} parts", param=place)
    return "\n".join(_part(part, f"{place}[{position}]") for position, part in enumerate(content))


def _part(part: ContentPart, place: str) -> str:
    media = (part.image_url, part.input_audio, part.video_url, part.file)
    if part.type != "text" or any(value is not None for value in media):
        raise InvalidRequest(
            f"'{place}' is not text; this model reads text only",
            param=place,
            hint="Send parts of type 'text'. No address in a message is ever fetched.",
        )
    if part.text is None:
        raise InvalidRequest(f"'{place}.text' is required", param=f"{place}.text")
    return part.text
