"""OpenAI's own protocol, which vLLM, Triton's front and many providers speak: a question changes
its model's name, and an answer passes as it is."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from stoker.errors import BackendFailed, Overloaded
from stoker.gateway.upstream.dialects.interface import Letter
from stoker.gateway.upstream.question import Question, Surface, encoded
from stoker.gateway.upstream.server_events import ServerEvent
from stoker.gateway.usage import Usage

DONE = b"[DONE]"
_JSON = {"content-type": "application/json"}
_NONE = msgspec.Raw(b"null")


class _Cached(msgspec.Struct):
    cached_tokens: int | None = None


class Said(msgspec.Struct):
    prompt_tokens: int = 0
    completion_tokens: int | None = 0
    prompt_tokens_details: _Cached | None = None

    @property
    def usage(self) -> Usage:
        details = self.prompt_tokens_details
        cached = (details.cached_tokens if details else None) or 0
        prompt = max(self.prompt_tokens, 0)
        return Usage(
            input_tokens=prompt,
            cached_tokens=min(max(cached, 0), prompt),
            output_tokens=max(self.completion_tokens or 0, 0),
        )


class _Choice(msgspec.Struct):
    index: int = 0
    finish_reason: str | None = None


class Chunk(msgspec.Struct):
    """What we read of a chunk, or of a whole answer."""

    choices: list[_Choice] | None = None
    usage: Said | None = None
    error: msgspec.Raw | None = None


_chunks = msgspec.json.Decoder(Chunk)


class OpenAIReader:
    def __init__(self, question: Question) -> None:
        self.usage: Usage | None = None
        self.complete = self.ended = False
        self._question = question
        self._finished: set[int] = set()

    def event(self, event: ServerEvent) -> bytes:
        if event.data == DONE:
            self.complete = self.ended = True
            return b""
        chunk = self._read(event.data)
        self._finished.update(one.index for one in chunk.choices or () if one.finish_reason)
        if len(self._finished) >= self._question.choices:
            self.complete = True  # some servers send no end marker
        if chunk.usage is not None and not chunk.choices and not self._question.wants_usage:
            return b""
        return b"data: " + self.shown(event.data.replace(b"\n", b" ")) + b"\n\n"

    def whole(self, body: bytes) -> bytes:
        if not self._read(body).choices:
            raise BackendFailed("an answer without choices")
        self.complete = True
        return self.shown(body)

    def shown(self, answer: bytes) -> bytes:
        """What the client sees of a chunk or of a whole answer."""
        return answer

    def _read(self, data: bytes) -> Chunk:
        try:
            chunk = _chunks.decode(data)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            raise BackendFailed("what the backend sent is no answer") from None
        if chunk.error is not None:
            raise failure_of(bytes(chunk.error))
        if chunk.usage is not None:
            self.usage = chunk.usage.usage
        return chunk


class OpenAI:
    length_field = "max_completion_tokens"
    """Newer models take no other; it is used only where the client named no length."""

    def headers(self, api_key: str | None) -> Mapping[str, str]:
        return _JSON if api_key is None else {**_JSON, "authorization": f"Bearer {api_key}"}

    def letter(self, question: Question, model: str) -> Letter:
        fields = {**question.fields, "model": encoded(model)}
        if question.stream:
            named = fields.get("stream_options", _NONE)
            options = msgspec.json.decode(named, type=dict[str, msgspec.Raw] | None) or {}
            fields["stream_options"] = encoded({**options, "include_usage": True})
        if question.most_tokens is not None:
            fields[self._length_field(question)] = encoded(question.most_tokens)
        return Letter(question.surface.value, msgspec.json.encode(fields))

    def reader(self, question: Question) -> OpenAIReader:
        return OpenAIReader(question)

    def _length_field(self, question: Question) -> str:
        named = ("max_completion_tokens", "max_tokens")
        default = "max_tokens" if question.surface is Surface.COMPLETIONS else self.length_field
        return next((name for name in named if name in question.fields), default)


class OpenServer(OpenAI):
    """vLLM, and Triton's OpenAI front: their older versions know only the older name."""

    length_field = "max_tokens"


def failure_of(error: bytes) -> BackendFailed | Overloaded:
    """An error in the place of an answer."""
    lowered = error[:2000].lower()
    if b"overloaded" in lowered or b"rate_limit" in lowered or b'"code":429' in lowered:
        return Overloaded("the backend is at its limit")
    return BackendFailed("the backend failed in the middle of its answer")
