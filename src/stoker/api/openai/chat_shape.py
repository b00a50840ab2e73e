"""A chat answer on the wire: one object, or chunks built around a prefix computed once."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from stoker.api.answer import Collected
from stoker.api.assembler import TextDelta
from stoker.api.openai.chat_parts import PartDeltas, message_of
from stoker.api.openai.chat_schema import (
    ChatChoice,
    ChatCompletion,
    ChatLogprobs,
)
from stoker.api.openai.content_logprobs import content_logprobs
from stoker.api.openai.prompt_logprobs import PromptScores
from stoker.api.openai.usage import Usage
from stoker.api.plan import Identity
from stoker.api.sse import json_text, one_line
from stoker.core.output import TokenLogprobs
from stoker.text.tokenizer import Tokenizer


class ChatShape:
    def __init__(
        self,
        identity: Identity,
        tokenizer: Tokenizer,
        num_choices: int,
        *,
        with_logprobs: bool,
        prompt_scores: PromptScores,
        with_usage: bool,
    ) -> None:
        self._identity = identity
        self._tokenizer = tokenizer
        self._with_logprobs = with_logprobs
        self._prompt_scores = prompt_scores
        self._with_usage = with_usage
        head = {
            "id": identity.id,
            "object": "chat.completion.chunk",
            "created": identity.created,
            "model": identity.model,
            "system_fingerprint": identity.fingerprint,
        }
        self._head = b"data: " + one_line(msgspec.json.encode(head))[:-1] + b',"choices":['
        self._tail = b'],"usage":null}\n\n' if with_usage else b"]}\n\n"
        self._plain_end = b'},"logprobs":null,"finish_reason":null}' + self._tail
        self._choice = [
            self._head + b'{"index":%d,"delta":{' % index for index in range(num_choices)
        ]
        self._deltas = [PartDeltas() for _ in range(num_choices)]

    # --- streamed ---------------------------------------------------------------------------

    def opening(self, usage: Usage) -> bytes:
        begun = b'"content":"","role":"assistant"'
        return b"".join(head + begun + self._plain_end for head in self._choice)

    def events(self, batch: Sequence[TextDelta]) -> bytes:
        return b"".join(
            self._parts(delta) + (self._end(delta) if delta.finish_reason is not None else b"")
            for delta in batch
        )

    def closing(self, usage: Usage) -> bytes:
        if not self._with_usage:
            return b""
        return self._head + b'],"usage":' + msgspec.json.encode(usage) + b"}\n\n"

    def _parts(self, delta: TextDelta) -> bytes:
        """Log probabilities come with the last of several parts."""
        head = self._choice[delta.index]
        fields = [self._deltas[delta.index].fields(part) for part in delta.parts]
        if not delta.parts and (delta.text or delta.logprobs):
            fields = [b'"content":' + json_text(delta.text)]
        if not self._with_logprobs or not delta.logprobs:
            return b"".join([head + field + self._plain_end for field in fields])
        *first, last = fields
        before = b"".join([head + field + self._plain_end for field in first])
        logprobs = one_line(msgspec.json.encode(self._logprobs(delta.logprobs)))
        end = b'},"logprobs":%b,"finish_reason":null}' % logprobs
        return before + head + last + end + self._tail

    def _end(self, delta: TextDelta) -> bytes:
        reason = msgspec.json.encode(delta.finish_reason)
        middle = b'{"index":%d,"delta":{},"logprobs":null,"finish_reason":' % delta.index
        return self._head + middle + reason + b"}" + self._tail

    # --- whole ------------------------------------------------------------------------------

    def whole(self, collected: Sequence[Collected], usage: Usage) -> bytes:
        choices = [
            ChatChoice(
                index,
                message_of(one.sections.all),
                self._logprobs(one.logprobs),
                one.finish_reason,
            )
            for index, one in enumerate(collected)
        ]
        return msgspec.json.encode(
            ChatCompletion(
                id=self._identity.id,
                created=self._identity.created,
                model=self._identity.model,
                system_fingerprint=self._identity.fingerprint,
                choices=choices,
                usage=usage,
                prompt_logprobs=self._prompt_scores.spell(collected[0].prompt_logprobs),
            )
        )

    def _logprobs(self, logprobs: Sequence[TokenLogprobs]) -> ChatLogprobs | None:
        if not self._with_logprobs:
            return None
        return ChatLogprobs(content_logprobs(self._tokenizer, logprobs))
