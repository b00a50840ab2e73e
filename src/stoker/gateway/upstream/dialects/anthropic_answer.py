"""Anthropic's answers, streamed or whole, as OpenAI's."""

from __future__ import annotations

import time
from typing import Any, TypeVar

import msgspec

from stoker.errors import BackendFailed
from stoker.gateway.upstream.dialects.openai import failure_of
from stoker.gateway.upstream.question import Question
from stoker.gateway.upstream.server_events import ServerEvent
from stoker.gateway.usage import Usage

Record = TypeVar("Record", bound=msgspec.Struct)

_REASONS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}


class _Said(msgspec.Struct):
    input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    output_tokens: int | None = None


class _Block(msgspec.Struct):
    type: str
    text: str = ""
    id: str = ""
    name: str = ""
    input: Any = None


class _Message(msgspec.Struct):
    id: str = ""
    model: str = ""
    type: str = "message"
    content: list[_Block] = []
    stop_reason: str | None = None
    usage: _Said | None = None


class _Delta(msgspec.Struct):
    type: str = ""
    text: str = ""
    partial_json: str = ""
    stop_reason: str | None = None


class _Event(msgspec.Struct):
    type: str
    message: _Message | None = None
    content_block: _Block | None = None
    delta: _Delta | None = None
    usage: _Said | None = None


class _Kind(msgspec.Struct):
    type: str = ""
    error: msgspec.Raw = msgspec.Raw(b"{}")


class AnthropicReader:
    def __init__(self, question: Question) -> None:
        self.usage: Usage | None = None
        self.complete = self.ended = False
        self._wants_usage = question.wants_usage
        self._created = int(time.time())
        self._message = _Message()
        self._tools = -1
        """The number of the last tool call; OpenAI counts them apart from texts."""

    def event(self, event: ServerEvent) -> bytes:
        found = _decoded(event.data, _Kind)
        if found.type == "error":
            raise failure_of(bytes(found.error))
        if found.type not in _KNOWN:
            return b""  # Anthropic adds kinds, and asks that those not known be passed over
        return self._translated(_decoded(event.data, _Event))

    def whole(self, body: bytes) -> bytes:
        found = _decoded(body, _Kind)
        if found.type != "message":
            raise failure_of(bytes(found.error))
        self._message = message = _decoded(body, _Message)
        self._count(message.usage)
        self.complete = True
        calls = [_call(block) for block in message.content if block.type == "tool_use"]
        texts = [block.text for block in message.content if block.type == "text"]
        answer: dict[str, Any] = {"role": "assistant", "content": "".join(texts) or None}
        if calls:
            answer["tool_calls"] = calls
        elif answer["content"] is None:
            answer["content"] = ""
        reason = _reason(message.stop_reason)
        choice = {"index": 0, "message": answer, "logprobs": None, "finish_reason": reason}
        return msgspec.json.encode(
            {**self._head("chat.completion"), "choices": [choice], "usage": self._shown_usage()}
        )

    def _translated(self, event: _Event) -> bytes:
        if event.message is not None:
            self._message = event.message
            self._count(event.message.usage)
            return self._chunk({"role": "assistant", "content": ""})
        if event.type == "message_delta":
            self._count(event.usage)
            return self._chunk({}, _reason(event.delta.stop_reason if event.delta else None))
        if event.type == "message_stop":
            self.complete = self.ended = True
            return self._usage_chunk() if self._wants_usage else b""
        if event.content_block is not None and event.content_block.type == "tool_use":
            self._tools += 1
            call = {"index": self._tools, **_call(event.content_block)}
            call["function"]["arguments"] = ""
            return self._chunk({"tool_calls": [call]})
        return self._piece(event.delta) if event.delta is not None else b""

    def _piece(self, delta: _Delta) -> bytes:
        if delta.type == "text_delta":
            return self._chunk({"content": delta.text})
        if delta.type == "input_json_delta":
            call = {"index": self._tools, "function": {"arguments": delta.partial_json}}
            return self._chunk({"tool_calls": [call]})
        return b""

    def _chunk(self, delta: dict[str, Any], reason: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
        return self._event({"choices": [choice]})

    def _usage_chunk(self) -> bytes:
        return self._event({"choices": [], "usage": self._shown_usage()})

    def _event(self, parts: dict[str, Any]) -> bytes:
        head = self._head("chat.completion.chunk")
        return b"data: " + msgspec.json.encode({**head, **parts}) + b"\n\n"

    def _head(self, kind: str) -> dict[str, Any]:
        message = self._message
        return {"id": message.id, "object": kind, "created": self._created, "model": message.model}

    def _count(self, said: _Said | None) -> None:
        """Counts grow while an answer does; what an event leaves out stays as it was."""
        if said is None:
            return
        before = self.usage or Usage()
        cached = said.cache_read_input_tokens
        fresh = said.input_tokens
        read = before.cached_tokens if cached is None else cached
        prompt = before.input_tokens
        if fresh is not None:
            prompt = fresh + read + (said.cache_creation_input_tokens or 0)
        output = before.output_tokens if said.output_tokens is None else said.output_tokens
        self.usage = Usage(input_tokens=prompt, cached_tokens=read, output_tokens=output)

    def _shown_usage(self) -> dict[str, Any]:
        usage = self.usage or Usage()
        return {
            "prompt_tokens": usage.input_tokens,
            "completion_tokens": usage.output_tokens,
            "total_tokens": usage.total_tokens,
            "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
        }


_KNOWN = frozenset(
    {
        "message_start", "content_block_start", "content_block_delta", "content_block_stop",
        "message_delta", "message_stop", "ping",
    }
)  # fmt: skip


def _decoded(data: bytes, record: type[Record]) -> Record:
    try:
        return msgspec.json.decode(data, type=record)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise BackendFailed("what the backend sent is no answer") from None


def _call(block: _Block) -> dict[str, Any]:
    arguments = msgspec.json.encode(block.input or {}).decode()
    function = {"name": block.name, "arguments": arguments}
    return {"id": block.id, "type": "function", "function": function}


def _reason(stop_reason: str | None) -> str:
    return _REASONS.get(stop_reason or "", "stop")
