"""The sections of an answer as the events of Anthropic's content blocks."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import msgspec

from stoker.api.answer_sections import Section, SectionKind
from stoker.api.anthropic.answer_schema import OutputBlock, TextBlock, ThinkingBlock, ToolUseBlock
from stoker.api.call_arguments import arguments_object
from stoker.api.sse import json_text, one_line
from stoker.core.output import TokenLogprobs

_DELTA = (
    b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,'
    b'"delta":{"type":"%b","%b":%b}}\n\n'
)
_FIELDS = {
    SectionKind.TEXT: (b"text_delta", b"text"),
    SectionKind.REASONING: (b"thinking_delta", b"thinking"),
    SectionKind.CALL: (b"input_json_delta", b"partial_json"),
}
_STOP = b'event: content_block_stop\ndata: {"type":"content_block_stop","index":%d}\n\n'


class MessageEvents:
    """Implements SectionForm."""

    def begun(self, section: Section) -> bytes:
        fields = {"index": section.index, "content_block": block_of(section)}
        return event("content_block_start", fields)

    def more(self, section: Section, text: str, logprobs: Sequence[TokenLogprobs]) -> bytes:
        if not text:
            return b""
        return _DELTA % (section.index, *_FIELDS[section.kind], json_text(text))

    def ended(self, section: Section) -> bytes:
        signed = b""
        if section.kind is SectionKind.REASONING:
            spelled = json_text(signature(section.text))
            signed = _DELTA % (section.index, b"signature_delta", b"signature", spelled)
        return signed + _STOP % section.index


def block_of(section: Section) -> OutputBlock:
    text = section.text
    match section.kind:
        case SectionKind.TEXT:
            return TextBlock(text)
        case SectionKind.REASONING:
            return ThinkingBlock(thinking=text, signature=signature(text) if text else "")
        case SectionKind.CALL:
            called_with = arguments_object(text or "{}")
            return ToolUseBlock(id=f"toolu_{section.key}", name=section.name, input=called_with)


def signature(thinking: str) -> str:
    """Clients keep thinking only with one. It shows that the text is whole, and is not checked."""
    return hashlib.blake2b(thinking.encode(errors="replace"), digest_size=32).hexdigest()


def event(kind: str, fields: Mapping[str, object]) -> bytes:
    encoded = one_line(msgspec.json.encode({"type": kind, **fields}))
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), encoded)
