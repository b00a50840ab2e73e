"""An answer in Ollama's form: lines of JSON, of which the last says how it went."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from msgspec import UNSET

from stoker.api.answer import Collected
from stoker.api.answer_parts import TOOL_CALLS
from stoker.api.answer_sections import Section, SectionKind, SectionStream, joined
from stoker.api.assembler import TextDelta
from stoker.api.call_arguments import arguments_object
from stoker.api.ollama.schema import AnsweredCall, AnsweredFunction, OllamaAnswer, SaidMessage
from stoker.api.openai.chat_parts import call_id
from stoker.api.openai.content_logprobs import content_logprobs
from stoker.api.openai.usage import Usage
from stoker.api.plan import Plan
from stoker.api.sse import json_text, one_line
from stoker.core.output import TokenLogprobs


class Place(msgspec.Struct, frozen=True):
    """Where an answer stands."""

    lines: Mapping[SectionKind, bytes]
    """By kind of section, in a line of a stream."""
    last: Callable[[SaidMessage], dict[str, Any]]
    """In the last line."""


IN_MESSAGE = Place(
    {
        SectionKind.TEXT: b'"message":{"role":"assistant","content":%b}',
        SectionKind.REASONING: b'"message":{"role":"assistant","content":"","thinking":%b}',
        SectionKind.CALL: b'"message":{"role":"assistant","content":"","tool_calls":[%b]}',
    },
    lambda said: {"message": said},
)
IN_RESPONSE = Place(
    {
        SectionKind.TEXT: b'"response":%b',
        SectionKind.REASONING: b'"response":"","thinking":%b',
    },
    lambda said: {"response": said.content, "thinking": said.thinking},
)


class OllamaShape:
    """Implements SectionForm, too. A call is told when it is whole."""

    def __init__(self, plan: Plan, place: Place) -> None:
        self._plan = plan
        self._place = place
        self._identity = plan.identity("")
        self._created = datetime.fromtimestamp(plan.created, UTC).isoformat()
        head = {"model": self._identity.model, "created_at": self._created}
        self._head = one_line(msgspec.json.encode(head))[:-1] + b","
        self._stream = SectionStream(self)
        self._calls = 0
        self._reason = ""

    # --- streamed ---------------------------------------------------------------------------

    def opening(self, usage: Usage) -> bytes:
        return b""

    def events(self, batch: Sequence[TextDelta]) -> bytes:
        self._reason = batch[-1].finish_reason or ""
        return b"".join(self._stream.events(delta) for delta in batch)

    def closing(self, usage: Usage) -> bytes:
        last = self._last(SaidMessage(""), (), self._reason, usage)
        return self._stream.closing() + one_line(msgspec.json.encode(last)) + b"\n"

    def begun(self, section: Section) -> bytes:
        return b""

    def more(self, section: Section, text: str, logprobs: Sequence[TokenLogprobs]) -> bytes:
        if section.kind is SectionKind.CALL or not (text or logprobs):
            return b""
        return self._line(section.kind, json_text(text), logprobs)

    def ended(self, section: Section) -> bytes:
        if section.kind is not SectionKind.CALL:
            return b""
        call = one_line(msgspec.json.encode(_call(section, self._calls)))
        self._calls += 1
        return self._line(section.kind, call, section.logprobs)

    def _line(self, kind: SectionKind, said: bytes, logprobs: Sequence[TokenLogprobs]) -> bytes:
        text = self._place.lines[kind] % said
        return b"".join((self._head, text, self._logprobs(logprobs), b',"done":false}\n'))

    def _logprobs(self, entries: Sequence[TokenLogprobs]) -> bytes:
        if not entries:
            return b""
        spelled = content_logprobs(self._plan.tokenizer, entries)
        return b',"logprobs":' + one_line(msgspec.json.encode(spelled))

    # --- whole ------------------------------------------------------------------------------

    def whole(self, collected: Sequence[Collected], usage: Usage) -> bytes:
        (one,) = collected
        sections = one.sections.all
        said = SaidMessage(
            joined(sections, SectionKind.TEXT),
            thinking=joined(sections, SectionKind.REASONING) or UNSET,
            tool_calls=_calls(sections) or UNSET,
        )
        return msgspec.json.encode(self._last(said, one.logprobs, one.finish_reason, usage))

    def _last(
        self, said: SaidMessage, logprobs: Sequence[TokenLogprobs], reason: str, usage: Usage
    ) -> OllamaAnswer:
        timing = self._plan.timing
        return OllamaAnswer(
            model=self._identity.model,
            created_at=self._created,
            **self._place.last(said),
            logprobs=content_logprobs(self._plan.tokenizer, logprobs) if logprobs else UNSET,
            done_reason="stop" if reason == TOOL_CALLS else reason,
            total_duration=_nanoseconds(timing.total),
            load_duration=0,
            prompt_eval_count=usage.prompt_tokens,
            prompt_eval_duration=_nanoseconds(timing.prompt),
            eval_count=usage.completion_tokens,
            eval_duration=_nanoseconds(timing.answer),
        )


def _calls(sections: Sequence[Section]) -> list[AnsweredCall]:
    calls = [section for section in sections if section.kind is SectionKind.CALL]
    return [_call(section, number) for number, section in enumerate(calls)]


def _call(section: Section, number: int) -> AnsweredCall:
    arguments = arguments_object(section.text)
    function = AnsweredFunction(index=number, name=section.name, arguments=arguments)
    return AnsweredCall(id=call_id(section), function=function)


def _nanoseconds(seconds: float) -> int:
    return round(seconds * 1e9)
