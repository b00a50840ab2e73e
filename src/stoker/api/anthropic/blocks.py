"""One message of Anthropic's, whose blocks may be calls, results and thinking, as ours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from msgspec import UNSET
from msgspec.structs import fields

from stoker.api.anthropic.schema import InputBlock, InputMessage
from stoker.api.openai.chat_schema import Message
from stoker.api.openai.tool_schema import FunctionCall, ToolCall
from stoker.config.schema import LimitsSection
from stoker.errors import InvalidRequest, UnsupportedConstraint

_FIELDS = {
    "text": {"text"},
    "thinking": {"thinking", "signature"},
    "tool_use": {"id", "name", "input"},
    "tool_result": {"tool_use_id", "content", "is_error"},
}
"""Those of each type, besides the type and marks for caches."""
_SPEAKERS = {"thinking": "assistant", "tool_use": "assistant", "tool_result": "user"}
_OPTIONAL = [name.name for name in fields(InputBlock) if name.name not in ("type", "cache_control")]

Value = TypeVar("Value")


@dataclass(slots=True)
class _Turn:
    texts: list[str] = field(default_factory=list)
    thinking: list[str] = field(default_factory=list)
    calls: list[ToolCall] = field(default_factory=list)
    results: list[Message] = field(default_factory=list)


def messages_of(message: InputMessage, place: str, limits: LimitsSection) -> list[Message]:
    """Results of calls come first, each as a message of its own. Raises RequestError."""
    if isinstance(message.content, str):
        return [Message(role=message.role, content=message.content)]
    turn = _Turn()
    for block, where in _placed(message.content, f"{place}.content", limits):
        _check(block, where, message.role)
        _read(block, where, turn, limits)
    if turn.results and not turn.texts:
        return turn.results
    said = Message(
        role=message.role,
        content="\n".join(turn.texts),
        reasoning_content="\n".join(turn.thinking) or None,
        tool_calls=turn.calls or None,
    )
    return [*turn.results, said]


def text_of(content: str | Sequence[InputBlock], place: str, limits: LimitsSection) -> str:
    """Where there may be text only. Raises RequestError naming the place."""
    if isinstance(content, str):
        return content
    return "\n".join(_text(block, where) for block, where in _placed(content, place, limits))


def _placed(
    content: Sequence[InputBlock], place: str, limits: LimitsSection
) -> list[tuple[InputBlock, str]]:
    if not content:
        raise InvalidRequest(f"'{place}' is empty", param=place)
    if len(content) > limits.content_parts:
        raise InvalidRequest(f"'{place}' has more than {limits.content_parts} parts", param=place)
    return [(block, f"{place}[{number}]") for number, block in enumerate(content)]


def _read(block: InputBlock, place: str, turn: _Turn, limits: LimitsSection) -> None:
    match block.type:
        case "thinking":
            turn.thinking.append(_given(block.thinking, f"{place}.thinking"))
        case "tool_use":
            turn.calls.append(_call(block, place))
        case "tool_result":
            turn.results.append(_result(block, place, limits))
        case _:
            turn.texts.append(_text(block, place))


def _call(block: InputBlock, place: str) -> ToolCall:
    arguments = b"" if block.input is UNSET else bytes(block.input)
    if not arguments.lstrip().startswith(b"{"):
        raise InvalidRequest(f"'{place}.input' must be an object", param=f"{place}.input")
    function = FunctionCall(name=_given(block.name, f"{place}.name"), arguments=arguments.decode())
    return ToolCall(id=_given(block.id, f"{place}.id"), function=function)


def _result(block: InputBlock, place: str, limits: LimitsSection) -> Message:
    """Templates know results only, so that one is an error stands in its text."""
    text = text_of(block.content, f"{place}.content", limits) if block.content else ""
    return Message(
        role="tool",
        tool_call_id=_given(block.tool_use_id, f"{place}.tool_use_id"),
        content=f"Error: {text}" if block.is_error else text,
    )


def _text(block: InputBlock, place: str) -> str:
    if block.type != "text":
        raise UnsupportedConstraint(
            f"'{place}' is not text; this model reads text only",
            param=place,
            hint="Send blocks of type 'text'. No address in a message is ever fetched.",
        )
    _check(block, place, "")
    return _given(block.text, f"{place}.text")


def _check(block: InputBlock, place: str, role: str) -> None:
    """Every field of it belongs to its type, and the type to the role."""
    own = _FIELDS.get(block.type)
    if own is None:
        return
    speaker = _SPEAKERS.get(block.type, role)
    if role != speaker:
        raise InvalidRequest(
            f"'{place}' is of type '{block.type}', which belongs to messages with role '{speaker}'",
            param=place,
        )
    for name in _OPTIONAL:
        if name not in own and getattr(block, name) not in (None, [], UNSET):
            where = f"{place}.{name}"
            raise UnsupportedConstraint(f"'{where}' is not supported", param=where)


def _given(value: Value | None, place: str) -> Value:
    if value is None:
        raise InvalidRequest(f"'{place}' is required", param=place)
    return value
