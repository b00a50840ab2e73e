"""The input of a response as messages: text, or items. What one turn of the model wrote - thoughts,
text, calls - is several items, and one message."""

from __future__ import annotations

from collections.abc import Sequence

from stoker.api.openai.chat_schema import Message
from stoker.api.openai.responses_schema import ResponseItem, ResponsePart, ResponsesRequest
from stoker.api.openai.tool_schema import FunctionCall, ToolCall
from stoker.config.schema import LimitsSection
from stoker.errors import InvalidRequest, UnsupportedConstraint

TEXTS = frozenset({"input_text", "output_text", "text"})
THOUGHTS = frozenset({"reasoning_text"})
_FIELDS = {
    "message": {"role", "content"},
    "reasoning": {"content"},
    "function_call": {"call_id", "name", "arguments"},
    "function_call_output": {"call_id", "output", "name"},
}
_REQUIRED = {
    "message": ("role", "content"),
    "reasoning": (),
    "function_call": ("call_id", "name", "arguments"),
    "function_call_output": ("call_id", "output"),
}
_ALL = (
    "role", "content", "call_id", "name", "arguments", "output", "summary", "namespace", "caller",
    "input", "encrypted_content", "action",
)  # fmt: skip


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
    messages: list[Message] = []
    for number, item in enumerate(given):
        one = _message(item, f"input[{number}]", limits)
        messages.append(_joined(messages.pop(), one) if _one_turn(messages, one) else one)
    return messages


def _one_turn(messages: Sequence[Message], item: Message) -> bool:
    """Whether an item goes on with the turn before it: thoughts, then text, then calls."""
    if not messages or not messages[-1].role == item.role == "assistant":
        return False
    last = messages[-1]
    if item.tool_calls:
        return True
    return not last.tool_calls and not (last.content or item.reasoning_content)


def _joined(turn: Message, item: Message) -> Message:
    return Message(
        role="assistant",
        content=f"{turn.content}{item.content}",
        reasoning_content=turn.reasoning_content,
        tool_calls=[*(turn.tool_calls or []), *(item.tool_calls or [])] or None,
    )


def _message(item: ResponseItem, place: str, limits: LimitsSection) -> Message:
    _check(item, place)
    match item.type:
        case "reasoning":
            thought = _text(item.content, f"{place}.content", THOUGHTS, limits)
            return Message(role="assistant", content="", reasoning_content=thought or None)
        case "function_call":
            function = FunctionCall(name=item.name or "", arguments=item.arguments or "")
            call = ToolCall(id=item.call_id or "", function=function)
            return Message(role="assistant", content="", tool_calls=[call])
        case "function_call_output":
            text = _text(item.output, f"{place}.output", TEXTS, limits)
            return Message(role="tool", tool_call_id=item.call_id, content=text)
        case _:
            if not item.content and not isinstance(item.content, str):
                raise InvalidRequest(f"'{place}.content' is empty", param=f"{place}.content")
            content = _text(item.content, f"{place}.content", TEXTS, limits)
            return Message(role=item.role or "user", content=content)


def _check(item: ResponseItem, place: str) -> None:
    """It is of a type we know, and has the fields of that type."""
    own = _FIELDS.get(item.type)
    if own is None:
        raise UnsupportedConstraint(
            f"'{place}' is of a type that is not supported",
            param=place,
            hint=f"Send items of these types: {', '.join(_FIELDS)}.",
        )
    for name in _REQUIRED[item.type]:
        if getattr(item, name) is None:
            raise InvalidRequest(f"'{place}.{name}' is required", param=f"{place}.{name}")
    for name in _ALL:
        if name not in own and getattr(item, name) not in (None, []):
            where = f"{place}.{name}"
            raise UnsupportedConstraint(f"'{where}' is not supported", param=where)


def _text(
    content: str | Sequence[ResponsePart] | None,
    place: str,
    kinds: frozenset[str],
    limits: LimitsSection,
) -> str:
    if content is None or isinstance(content, str):
        return content or ""
    if len(content) > limits.content_parts:
        raise InvalidRequest(f"'{place}' has more than {limits.content_parts} parts", param=place)
    parts = [_part(part, f"{place}[{number}]", kinds) for number, part in enumerate(content)]
    return "\n".join(parts)


def _part(part: ResponsePart, place: str, kinds: frozenset[str]) -> str:
    if part.type not in kinds or part.image_url is not None or part.file_url is not None:
        raise UnsupportedConstraint(
            f"'{place}' is not text; this model reads text only",
            param=place,
            hint=f"Send parts of type '{min(kinds)}'. No address in a message is ever fetched.",
        )
    if part.text is None:
        raise InvalidRequest(f"'{place}.text' is required", param=f"{place}.text")
    return part.text
