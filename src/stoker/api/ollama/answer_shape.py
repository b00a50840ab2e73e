"""An answer in Ollama's form: lines of JSON, of which the last says how it went."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import msgspec
from msgspec import UNSET

from stoker.api.answer import Collected
from stoker.api.assembler import TextDelta
from stoker.api.ollama.schema import OllamaAnswer, SaidMessage
from stoker.api.openai.content_logprobs import content_logprobs
from stoker.api.openai.usage import Usage
from stoker.api.plan import Plan
from stoker.api.sse import json_text, one_line
from stoker.core.output import TokenLogprobs


class Place(msgspec.Struct, frozen=True):
    """Where the text of an answer stands."""

    line: bytes
    """In a line of a stream."""
    last: Callable[[str], dict[str, str | SaidMessage]]
    """In the last line."""


IN_MESSAGE = Place(
    b'"message":{"role":"assistant","content":%b}', lambda text: {"message": SaidMessage(text)}
)
IN_RESPONSE = Place(b'"response":%b', lambda text: {"response": text})


class OllamaShape:
    def __init__(self, plan: Plan, place: Place) -> None:
        self._plan = plan
        self._place = place
        self._identity = plan.identity("")
        self._created = datetime.fromtimestamp(plan.created, UTC).isoformat()
        head = {"model": self._identity.model, "created_at": self._created}
        self._head = one_line(msgspec.json.encode(head))[:-1] + b","
        self._reason = ""

    # --- streamed ---------------------------------------------------------------------------

    def opening(self, usage: Usage) -> bytes:
        return b""

    def events(self, batch: Sequence[TextDelta]) -> bytes:
        self._reason = batch[-1].finish_reason or ""
        return b"".join(self._line(delta) for delta in batch if delta.text or delta.logprobs)

    def closing(self, usage: Usage) -> bytes:
        return one_line(msgspec.json.encode(self._last("", (), self._reason, usage))) + b"\n"

    def _line(self, delta: TextDelta) -> bytes:
        text = self._place.line % json_text(delta.text)
        return b"".join((self._head, text, self._logprobs(delta.logprobs), b',"done":false}\n'))

    def _logprobs(self, entries: Sequence[TokenLogprobs]) -> bytes:
        if not entries:
            return b""
        spelled = content_logprobs(self._plan.tokenizer, entries)
        return b',"logprobs":' + one_line(msgspec.json.encode(spelled))

    # --- whole ------------------------------------------------------------------------------

    def whole(self, collected: Sequence[Collected], usage: Usage) -> bytes:
        (one,) = collected
        return msgspec.json.encode(self._last(one.text, one.logprobs, one.finish_reason, usage))

    def _last(
        self, text: str, logprobs: Sequence[TokenLogprobs], reason: str, usage: Usage
    ) -> OllamaAnswer:
        timing = self._plan.timing
        return OllamaAnswer(
            model=self._identity.model,
            created_at=self._created,
            **self._place.last(text),  # type: ignore[arg-type]
            logprobs=content_logprobs(self._plan.tokenizer, logprobs) if logprobs else UNSET,
            done_reason=reason,
            total_duration=_nanoseconds(timing.total),
            load_duration=0,
            prompt_eval_count=usage.prompt_tokens,
            prompt_eval_duration=_nanoseconds(timing.prompt),
            eval_count=usage.completion_tokens,
            eval_duration=_nanoseconds(timing.answer),
        )


def _nanoseconds(seconds: float) -> int:
    return round(seconds * 1e9)
