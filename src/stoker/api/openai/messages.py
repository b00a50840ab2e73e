"""Chat messages checked and brought to the plain form that templates read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from stoker.api.openai.chat_schema import ContentPart, Message
from stoker.config.schema import LimitsSection
from stoker.errors import InvalidRequest, UnsupportedConstraint

_UNSUPPORTED = ("tool_calls", "tool_call_id", "function_call", "audio")


def plain_messages(messages: Sequence[Message], limits: LimitsSection) -> list[dict[str, Any]]:
    """Each with a role and text. Raises RequestError naming the place."""
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
    role = "system" if message.role == "developer" else message.role
    plain = {"role": role, "content": _text(message.content, f"{place}.content", limits)}
    return plain if message.name is None else {**plain, "name": message.name}


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
