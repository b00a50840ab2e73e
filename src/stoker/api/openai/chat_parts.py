"""The parts of an answer - reasoning, text, tool calls - as chat completions spell them."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

import msgspec

from stoker.api.answer_sections import Section, SectionKind, joined
from stoker.api.openai.chat_schema import AnswerMessage
from stoker.api.openai.tool_schema import FunctionCall, ToolCall
from stoker.api.sse import json_text
from stoker.text.calls.pieces import Arguments, CallBegun, Content, Piece, Reasoning


def message_of(sections: Sequence[Section]) -> AnswerMessage:
    calls = [
        ToolCall(id=call_id(call), function=FunctionCall(name=call.name, arguments=call.text))
        for call in sections
        if call.kind is SectionKind.CALL
    ]
    content = joined(sections, SectionKind.TEXT)
    return AnswerMessage(
        content=None if calls and not content else content,
        reasoning_content=joined(sections, SectionKind.REASONING) or msgspec.UNSET,
        tool_calls=calls or msgspec.UNSET,
    )


class PartDeltas:
    """Of one streamed choice. Each part becomes the fields of one `delta` object."""

    def __init__(self) -> None:
        self._calls = 0

    def fields(self, part: Piece) -> bytes:
        match part:
            case Content(text):
                return b'"content":' + json_text(text)
            case Reasoning(text):
                return b'"reasoning_content":' + json_text(text)
            case CallBegun(name):
                self._calls += 1
                return (
                    b'"tool_calls":[{"index":%d,"id":%b,"type":"function","function":{"name":%b,'
                    b'"arguments":""}}]' % (self._calls - 1, json_text(_new_id()), json_text(name))
                )
            case Arguments(text):
                return b'"tool_calls":[{"index":%d,"function":{"arguments":%b}}]' % (
                    self._calls - 1,
                    json_text(text),
                )


def call_id(call: Section) -> str:
    return f"call_{call.key}"


def _new_id() -> str:
    return f"call_{secrets.token_hex(12)}"
