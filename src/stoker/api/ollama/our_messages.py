"""Ollama's messages as ours. Its calls mostly have no ids: results follow them in their order, or
name their tools."""

from __future__ import annotations

from collections.abc import Sequence

from stoker.api.ollama.schema import OllamaCall, OllamaMessage
from stoker.api.openai.chat_schema import Message
from stoker.api.openai.fields import refuse_unsupported
from stoker.api.openai.tool_schema import FunctionCall, ToolCall
from stoker.config.schema import LimitsSection
from stoker.errors import InvalidRequest

_SPEAKERS = {
    "tool_calls": "assistant",
    "thinking": "assistant",
    "tool_name": "tool",
    "tool_call_id": "tool",
}


def our_messages(messages: Sequence[OllamaMessage], limits: LimitsSection) -> list[Message]:
    """Raises RequestError naming the place."""
    ours: list[Message] = []
    waiting: list[ToolCall] = []
    """Calls without results, in their order."""
    for number, message in enumerate(messages):
        place = f"messages[{number}]"
        _check(message, place)
        if message.role == "tool":
            ours.append(_result(message, place, waiting))
            continue
        calls = _calls(message.tool_calls or [], f"{place}.tool_calls", limits)
        if calls:
            waiting = list(calls)
        if message.content is None and not calls:
            raise InvalidRequest(f"'{place}.content' is required", param=f"{place}.content")
        said = Message(
            role=message.role,
            content=message.content or "",
            reasoning_content=message.thinking or None,
            tool_calls=calls or None,
        )
        ours.append(said)
    return ours


def _check(message: OllamaMessage, place: str) -> None:
    refuse_unsupported(message, f"{place}.")
    for name, speaker in _SPEAKERS.items():
        if getattr(message, name) and message.role != speaker:
            where = f"{place}.{name}"
            raise InvalidRequest(
                f"'{where}' belongs to messages with role '{speaker}'", param=where
            )


def _calls(calls: Sequence[OllamaCall], place: str, limits: LimitsSection) -> list[ToolCall]:
    if len(calls) > limits.tools:
        raise InvalidRequest(f"'{place}' has more than {limits.tools} entries", param=place)
    return [_call(call, f"{place}[{number}]") for number, call in enumerate(calls)]


def _call(call: OllamaCall, place: str) -> ToolCall:
    arguments = bytes(call.function.arguments)
    where = f"{place}.function.arguments"
    if not arguments.lstrip().startswith(b"{"):
        raise InvalidRequest(f"'{where}' must be an object", param=where)
    function = FunctionCall(name=call.function.name, arguments=arguments.decode())
    return ToolCall(id=call.id or place, function=function)


def _result(message: OllamaMessage, place: str, waiting: list[ToolCall]) -> Message:
    """Takes the call it answers out of `waiting`."""
    if message.content is None:
        raise InvalidRequest(f"'{place}.content' is required", param=f"{place}.content")
    answered = next((call for call in waiting if _answers(message, call)), None)
    if answered is not None:
        waiting.remove(answered)
    id_ = message.tool_call_id or (answered.id if answered else place)
    return Message(role="tool", content=message.content, tool_call_id=id_)


def _answers(message: OllamaMessage, call: ToolCall) -> bool:
    if message.tool_call_id:
        return message.tool_call_id == call.id
    return message.tool_name in (None, "", call.function.name)
