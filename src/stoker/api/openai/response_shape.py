"""An answer as a response of OpenAI's: one object, or the numbered events that build it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from typing import Any

import msgspec

from stoker.api.answer import Collected
from stoker.api.answer_sections import Section, SectionStream
from stoker.api.assembler import TextDelta
from stoker.api.openai.response_items import ResponseItems
from stoker.api.openai.response_schema import (
    IncompleteDetails,
    OutputItem,
    Response,
    response_usage,
)
from stoker.api.openai.responses_schema import OutputFormat, ResponsesRequest
from stoker.api.openai.usage import Usage
from stoker.api.plan import Plan
from stoker.api.sse import one_line


class ResponseShape:
    def __init__(self, body: ResponsesRequest, plan: Plan) -> None:
        self._body = body
        self._identity = plan.identity("resp_")
        self._numbers = count()
        self._items = ResponseItems(plan.tokenizer, self._event, lambda: next(self._numbers))
        self._stream = SectionStream(self._items)
        self._reason = ""

    # --- streamed ---------------------------------------------------------------------------

    def opening(self, usage: Usage) -> bytes:
        begun = self._response("in_progress", [], None)
        created = self._event("response.created", response=begun)
        return created + self._event("response.in_progress", response=begun)

    def events(self, batch: Sequence[TextDelta]) -> bytes:
        self._reason = batch[-1].finish_reason or ""
        return b"".join(self._stream.events(delta) for delta in batch)

    def closing(self, usage: Usage) -> bytes:
        sections = self._stream.sections.all
        response = self._finished(sections, self._reason, usage)
        ended = self._items.finished(sections[-1], response.status)
        return ended + self._event(f"response.{response.status}", response=response)

    def _event(self, kind: str, **fields: Any) -> bytes:
        event = {"type": kind, **fields, "sequence_number": next(self._numbers)}
        return b"event: %b\ndata: %b\n\n" % (kind.encode(), one_line(msgspec.json.encode(event)))

    # --- whole ------------------------------------------------------------------------------

    def whole(self, collected: Sequence[Collected], usage: Usage) -> bytes:
        (one,) = collected
        return msgspec.json.encode(self._finished(one.sections.all, one.finish_reason, usage))

    def _finished(self, sections: Sequence[Section], reason: str, usage: Usage) -> Response:
        """Only the last item can have been cut off."""
        status = "incomplete" if reason == "length" else "completed"
        *whole, last = sections
        items = [self._items.item(section, "completed") for section in whole]
        return self._response(status, [*items, self._items.item(last, status)], usage)

    def _response(self, status: str, output: list[OutputItem], usage: Usage | None) -> Response:
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
            tools=body.tools or [],
            tool_choice=body.tool_choice or "auto",
            parallel_tool_calls=body.parallel_tool_calls is not False,
            text={"format": (body.text and body.text.format) or OutputFormat(type="text")},
        )
