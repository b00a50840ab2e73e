"""The input of a response as messages: text, or items of which each is a message of text."""

from __future__ import annotations

from collections.abc import Sequence

from stoker.api.openai.chat_schema import Message
from stoker.api.openai.responses_schema import ResponseItem, ResponsePart, ResponsesRequest
from stoker.config.schema import LimitsSection
from stoker.errors import InvalidRequest, UnsupportedConstraint

TEXTS = frozenset({"input_text", "output_text", "text"})


def response_messages(body: ResponsesRequest, limits: LimitsSection) -> list[Message]:
    """Instructions come first. Raises RequestError naming the place."""
    messages = _messages(body.input, limits)
    if body.instructions is None:
        return messages
    first = messages[0]
    if first.role not in ("system", "developer"):
        return [Message(role="system", content=body.instructions), *messages]
    joined = f"{body.instructions}\n{first.content}"
    return [Message(role="system", content=joined), *messages[1:]]


def _messages(given: str | Sequence[ResponseItem], limits: LimitsSection) -> list[Message]:
    if isinstance(given, str):
        return [Message(role="user", content=given)]
    if not given:
        raise InvalidRequest("'input' is empty", param="input")
    if len(given) > limits.messages:
        raise InvalidRequest(f"'input' has more than {limits.messages} items", param="input")
    return [_message(item, f"input[{number}]", limits) for number, item in enumerate(given)]


def _message(item: ResponseItem, place: str, limits: LimitsSection) -> Message:
    if item.type != "message":
        raise UnsupportedConstraint(
            f"'{place}' is not a message", param=place, hint="Send items of type 'message' only."
        )
    if item.role is None or item.content is None:
        missing = f"{place}.{'role' if item.role is None else 'content'}"
        raise InvalidRequest(f"'{missing}' is required", param=missing)
    return Message(role=item.role, content=_text(item.content, f"{place}.content", limits))


def _text(content: str | Sequence[ResponsePart], place: str, limits: LimitsSection) -> str:
    if isinstance(content, str):
        return content
    if not content:
        raise InvalidRequest(f"'{place}' is empty", param=place)
    if len(content) > limits.content_parts:
        raise InvalidRequest(f"'{place}' has more than {limits.content_parts} parts", param=place)
    return "\n".join(_part(part, f"{place}[{number}]") for number, part in enumerate(content))


def _part(part: ResponsePart, place: str) -> str:
    if part.type not in TEXTS or part.image_url is not None or part.file_url is not None:
        raise UnsupportedConstraint(
            f"'{place}' is not text; this model reads text only",
            param=place,
            hint="Send parts of type 'input_text'. No address in a message is ever fetched.",
        )
    if part.text is None:
        raise InvalidRequest(f"'{place}.text' is required", param=f"{place}.text")
    return part.text
