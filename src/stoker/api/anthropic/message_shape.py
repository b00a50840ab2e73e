"""An answer as Anthropic's message: one object, or the six kinds of events that build it."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from stoker.api.answer import Collected
from stoker.api.anthropic.schema import AssistantMessage, MessageUsage, TextBlock
from stoker.api.assembler import TextDelta
from stoker.api.openai.usage import Usage
from stoker.api.plan import Identity
from stoker.api.sse import json_text, one_line

_TEXT = (
    b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,'
    b'"delta":{"type":"text_delta","text":'
)
_BLOCK_START = (
    b'event: content_block_start\ndata: {"type":"content_block_start","index":0,'
    b'"content_block":{"type":"text","text":""}}\n\n'
)
_BLOCK_STOP = b'event: content_block_stop\ndata: {"type":"content_block_stop","index":0}\n\n'
_MESSAGE_STOP = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'


class MessageShape:
    def __init__(self, identity: Identity, max_tokens: int) -> None:
        """`max_tokens` is what the client asked for, which may be more than the context holds."""
        self._identity = identity
        self._max_tokens = max_tokens
        self._last = TextDelta(0)

    # --- streamed ---------------------------------------------------------------------------

    def opening(self, usage: Usage) -> bytes:
        message = self._message([], None, None, usage)
        return _event("message_start", {"message": message}) + _BLOCK_START

    def events(self, batch: Sequence[TextDelta]) -> bytes:
        self._last = batch[-1]
        return b"".join(_TEXT + json_text(delta.text) + b"}}\n\n" for delta in batch if delta.text)

    def closing(self, usage: Usage) -> bytes:
        last = self._last
        delta = {
            "stop_reason": self._reason(last.finish_reason, last.stop, usage),
            "stop_sequence": last.stop,
        }
        ended = _event("message_delta", {"delta": delta, "usage": _usage(usage)})
        return _BLOCK_STOP + ended + _MESSAGE_STOP

    # --- whole ------------------------------------------------------------------------------

    def whole(self, collected: Sequence[Collected], usage: Usage) -> bytes:
        (one,) = collected
        reason = self._reason(one.finish_reason, one.stop, usage)
        return msgspec.json.encode(self._message([TextBlock(one.text)], reason, one.stop, usage))

    def _message(
        self, content: list[TextBlock], reason: str | None, stop: str | None, usage: Usage
    ) -> AssistantMessage:
        return AssistantMessage(
            id=self._identity.id,
            model=self._identity.model,
            content=content,
            stop_reason=reason,
            stop_sequence=stop,
            usage=_usage(usage),
        )

    def _reason(self, finish: str | None, stop: str | None, usage: Usage) -> str:
        if finish == "length":
            short = usage.completion_tokens < self._max_tokens
            return "model_context_window_exceeded" if short else "max_tokens"
        return "end_turn" if stop is None else "stop_sequence"


def _usage(usage: Usage) -> MessageUsage:
    cached = usage.prompt_tokens_details.cached_tokens
    return MessageUsage(usage.prompt_tokens - cached, usage.completion_tokens, cached)


def _event(kind: str, fields: dict[str, object]) -> bytes:
    encoded = one_line(msgspec.json.encode({"type": kind, **fields}))
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), encoded)
