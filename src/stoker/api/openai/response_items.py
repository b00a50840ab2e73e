"""The sections of an answer as output items of a response, and as the events that build them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from stoker.api.answer_sections import Section, SectionKind
from stoker.api.openai.chat_parts import call_id
from stoker.api.openai.content_logprobs import content_logprobs
from stoker.api.openai.response_schema import (
    OutputCall,
    OutputItem,
    OutputMessage,
    OutputReasoning,
    OutputText,
    ReasoningText,
)
from stoker.api.sse import json_text, one_line
from stoker.core.output import TokenLogprobs
from stoker.text.tokenizer import Tokenizer

Event = Callable[..., bytes]
"""Makes one of a type and fields, and numbers it."""

_PREFIXES = {SectionKind.TEXT: "msg_", SectionKind.REASONING: "rs_", SectionKind.CALL: "fc_"}
_KINDS = {
    SectionKind.TEXT: "response.output_text",
    SectionKind.REASONING: "response.reasoning_text",
    SectionKind.CALL: "response.function_call_arguments",
}
_EMPTY_PARTS = {
    SectionKind.TEXT: OutputText(text=""),
    SectionKind.REASONING: ReasoningText(text=""),
}
"""What text goes into."""


class ResponseItems:
    """Implements SectionForm."""

    def __init__(self, tokenizer: Tokenizer, event: Event, number: Callable[[], int]) -> None:
        self._tokenizer = tokenizer
        self._event = event
        self._number = number
        self._head = b""
        """Of deltas, up to what differs between those of one section."""

    # --- streamed ---------------------------------------------------------------------------

    def begun(self, section: Section) -> bytes:
        kind = f"{_KINDS[section.kind]}.delta"
        head = msgspec.json.encode({"type": kind, **_place(section)})[:-1]
        self._head = b"event: %b\ndata: %b" % (kind.encode(), head)
        added = self._event(
            "response.output_item.added",
            output_index=section.index,
            item=self.item(section, "in_progress"),
        )
        part = _EMPTY_PARTS.get(section.kind)
        if part is None:
            return added
        return added + self._event("response.content_part.added", **_place(section), part=part)

    def more(self, section: Section, text: str, logprobs: Sequence[TokenLogprobs]) -> bytes:
        is_text = section.kind is SectionKind.TEXT
        if not text and not (is_text and logprobs):
            return b""
        scores = b""
        if is_text:
            entries = content_logprobs(self._tokenizer, logprobs)
            scores = b',"logprobs":' + one_line(msgspec.json.encode(entries))
        return b'%b,"sequence_number":%d,"delta":%b%b}\n\n' % (
            self._head, self._number(), json_text(text), scores,
        )  # fmt: skip

    def ended(self, section: Section) -> bytes:
        return self.finished(section, "completed")

    def finished(self, section: Section, status: str) -> bytes:
        """`status`: whether it was cut off."""
        item = self.item(section, status)
        said = self._said(section, item)
        place = {"output_index": section.index}
        return said + self._event("response.output_item.done", **place, item=item)

    def _said(self, section: Section, item: OutputItem) -> bytes:
        kind, place = f"{_KINDS[section.kind]}.done", _place(section)
        if isinstance(item, OutputCall):
            return self._event(kind, **place, name=item.name, arguments=item.arguments)
        (part,) = item.content
        spelled: dict[str, Any] = {"text": part.text}
        if isinstance(part, OutputText):
            spelled["logprobs"] = part.logprobs
        return self._event(kind, **place, **spelled) + self._event(
            "response.content_part.done", **place, part=part
        )

    # --- whole ------------------------------------------------------------------------------

    def item(self, section: Section, status: str) -> OutputItem:
        text, id_ = section.text, f"{_PREFIXES[section.kind]}{section.key}"
        match section.kind:
            case SectionKind.CALL:
                name, its_id = section.name, call_id(section)
                return OutputCall(id=id_, call_id=its_id, status=status, name=name, arguments=text)
            case SectionKind.REASONING:
                thought = [ReasoningText(text=text)] if section.pieces else []
                return OutputReasoning(id=id_, status=status, content=thought)
            case SectionKind.TEXT:
                entries = content_logprobs(self._tokenizer, section.logprobs)
                said = [OutputText(text=text, logprobs=entries)] if section.pieces else []
                return OutputMessage(id=id_, status=status, content=said)


def _place(section: Section) -> dict[str, Any]:
    place = {"item_id": f"{_PREFIXES[section.kind]}{section.key}", "output_index": section.index}
    return place if section.kind is SectionKind.CALL else {**place, "content_index": 0}
