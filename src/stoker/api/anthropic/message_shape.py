"""An answer as Anthropic's message: one object, or the events that build it block by block."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from stoker.api.answer import Collected
from stoker.api.answer_parts import TOOL_CALLS
from stoker.api.answer_sections import SectionStream
from stoker.api.anthropic.answer_schema import AssistantMessage, MessageUsage, OutputBlock
from stoker.api.anthropic.message_events import MessageEvents, block_of, event
from stoker.api.assembler import TextDelta
from stoker.api.openai.usage import Usage
from stoker.api.plan import Identity

_MESSAGE_STOP = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'


class MessageShape:
    def __init__(self, identity: Identity, max_tokens: int) -> None:
        """`max_tokens` is what the client asked for, which may be more than the context holds."""
        self._identity = identity
        self._max_tokens = max_tokens
        self._blocks = SectionStream(MessageEvents())
        self._last = TextDelta(0)

    # --- streamed ---------------------------------------------------------------------------

    def opening(self, usage: Usage) -> bytes:
        return event("message_start", {"message": self._message([], None, None, usage)})

    def events(self, batch: Sequence[TextDelta]) -> bytes:
        self._last = batch[-1]
        return b"".join(self._blocks.events(delta) for delta in batch)

    def closing(self, usage: Usage) -> bytes:
        last = self._last
        delta = {
            "stop_reason": self._reason(last.finish_reason, last.stop, usage),
            "stop_sequence": last.stop,
        }
        ended = event("message_delta", {"delta": delta, "usage": _usage(usage)})
        return self._blocks.closing() + ended + _MESSAGE_STOP

    # --- whole ------------------------------------------------------------------------------

    def whole(self, collected: Sequence[Collected], usage: Usage) -> bytes:
        (one,) = collected
        reason = self._reason(one.finish_reason, one.stop, usage)
        blocks = [block_of(section) for section in one.sections.all]
        return msgspec.json.encode(self._message(blocks, reason, one.stop, usage))

    def _message(
        self, content: list[OutputBlock], reason: str | None, stop: str | None, usage: Usage
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
        if finish == TOOL_CALLS:
            return "tool_use"
        if finish == "length":
            short = usage.completion_tokens < self._max_tokens
            return "model_context_window_exceeded" if short else "max_tokens"
        return "end_turn" if stop is None else "stop_sequence"


def _usage(usage: Usage) -> MessageUsage:
    cached = usage.prompt_tokens_details.cached_tokens
    return MessageUsage(usage.prompt_tokens - cached, usage.completion_tokens, cached)
