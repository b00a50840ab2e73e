"""An answer as a response of OpenAI's: one object, or the numbered events that build it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from typing import Any

import msgspec

from stoker.api.answer import Collected
from stoker.api.assembler import TextDelta
from stoker.api.openai.content_logprobs import ContentLogprob, content_logprobs
from stoker.api.openai.response_schema import (
    IncompleteDetails,
    OutputMessage,
    OutputText,
    Response,
    response_usage,
)
from stoker.api.openai.responses_schema import OutputFormat, ResponsesRequest
from stoker.api.openai.usage import Usage
from stoker.api.plan import Plan
from stoker.api.sse import json_text, one_line
from stoker.core.output import TokenLogprobs

_PLACE = {"output_index": 0, "content_index": 0}


class ResponseShape:
    def __init__(self, body: ResponsesRequest, plan: Plan) -> None:
        self._body = body
        self._identity = plan.identity("resp_")
        self._item_id = plan.identity("msg_").id
        self._tokenizer = plan.tokenizer
        self._numbers = count()
        self._collected = Collected()
        self._place = {"item_id": self._item_id, **_PLACE}
        place = msgspec.json.encode(self._place)[1:-1]
        self._delta = (
            b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta",'
            + place
            + b',"sequence_number":%d,"delta":%b,"logprobs":%b}\n\n'
        )

    # --- streamed ---------------------------------------------------------------------------

    def opening(self, usage: Usage) -> bytes:
        begun = self._response("in_progress", [], None)
        item = self._message("in_progress", [])
        return b"".join(
            (
                self._event("response.created", response=begun),
                self._event("response.in_progress", response=begun),
                self._event("response.output_item.added", output_index=0, item=item),
                self._event("response.content_part.added", **self._place, part=OutputText(text="")),
            )
        )

    def events(self, batch: Sequence[TextDelta]) -> bytes:
        for delta in batch:
            self._collected.add(delta)
        return b"".join(self._text(delta) for delta in batch if delta.text or delta.logprobs)

    def closing(self, usage: Usage) -> bytes:
        response = self._finished(self._collected, usage)
        (item,) = response.output
        (part,) = item.content
        spelled: dict[str, Any] = {"text": part.text, "logprobs": part.logprobs}
        return b"".join(
            (
                self._event("response.output_text.done", **self._place, **spelled),
                self._event("response.content_part.done", **self._place, part=part),
                self._event("response.output_item.done", output_index=0, item=item),
                self._event(f"response.{response.status}", response=response),
            )
        )

    def _text(self, delta: TextDelta) -> bytes:
        logprobs = one_line(msgspec.json.encode(self._logprobs(delta.logprobs)))
        return self._delta % (next(self._numbers), json_text(delta.text), logprobs)

    def _event(self, kind: str, **fields: Any) -> bytes:
        event = {"type": kind, **fields, "sequence_number": next(self._numbers)}
        return b"event: %b\ndata: %b\n\n" % (kind.encode(), one_line(msgspec.json.encode(event)))

    # --- whole ------------------------------------------------------------------------------

    def whole(self, collected: Sequence[Collected], usage: Usage) -> bytes:
        return msgspec.json.encode(self._finished(collected[0], usage))

    def _finished(self, one: Collected, usage: Usage) -> Response:
        status = "incomplete" if one.finish_reason == "length" else "completed"
        part = OutputText(text=one.text, logprobs=self._logprobs(one.logprobs))
        return self._response(status, [self._message(status, [part])], usage)

    def _message(self, status: str, content: list[OutputText]) -> OutputMessage:
        return OutputMessage(id=self._item_id, status=status, content=content)

    def _response(self, status: str, output: list[OutputMessage], usage: Usage | None) -> Response:
        body = self._body
        incomplete = status == "incomplete"
        return Response(
            id=self._identity.id,
            created_at=self._identity.created,
            status=status,
            model=self._identity.model,
            output=output,
            usage=None if usage is None else response_usage(usage),
            incomplete_details=IncompleteDetails("max_output_tokens") if incomplete else None,
            instructions=body.instructions,
            max_output_tokens=body.max_output_tokens,
            metadata=body.metadata or {},
            temperature=body.temperature,
            top_p=body.top_p,
            top_logprobs=body.top_logprobs or 0,
            text={"format": (body.text and body.text.format) or OutputFormat(type="text")},
        )

    def _logprobs(self, entries: Sequence[TokenLogprobs]) -> list[ContentLogprob]:
        return content_logprobs(self._tokenizer, entries)
