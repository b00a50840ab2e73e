"""POST /v1/responses. Nothing is stored: an answer has no successor but by sending it again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from stoker.api.dialect import Dialect
from stoker.api.errors import ErrorDetail
from stoker.api.openai.chat_schema import ChatRequest
from stoker.api.openai.fields import refuse_unsupported
from stoker.api.openai.response_format import ResponseFormat, schema_format
from stoker.api.openai.response_input import response_messages
from stoker.api.openai.response_shape import ResponseShape
from stoker.api.openai.response_tools import TOOL_NAMES, our_choice, our_tools
from stoker.api.openai.responses_schema import OutputFormat, ResponsesRequest, TextField
from stoker.api.plan import Plan
from stoker.api.surface import Asked
from stoker.config.schema import LimitsSection
from stoker.errors import InvalidRequest

LOGPROBS = "message.output_text.logprobs"


class ResponsesErrorBody(msgspec.Struct, frozen=True, kw_only=True):
    """The same as an answer and as the event `error`: one kind of client reads `error` in it, the
    other the fields beside it."""

    type: Literal["error"] = "error"
    code: str
    message: str
    param: str | None
    error: ErrorDetail


def _error(detail: ErrorDetail, status: int) -> ResponsesErrorBody:
    return ResponsesErrorBody(
        code=detail.code, message=detail.message, param=detail.param, error=detail
    )


RESPONSES = Dialect(
    error=_error,
    error_record=ResponsesErrorBody,
    failure=b"event: error\ndata: %b\n\n",
)


class Responses:
    """Implements Surface."""

    record = ResponsesRequest
    names: Mapping[str, str] = {
        "messages": "input",
        "max_tokens": "max_output_tokens",
        "response_format.json_schema.schema": "text.format.schema",
        "response_format": "text.format",
        **TOOL_NAMES,
    }

    def asked(self, body: ResponsesRequest, limits: LimitsSection) -> Asked:
        text = body.text or TextField()
        refuse_unsupported(text, "text.")
        top = body.top_logprobs
        wanted = LOGPROBS in (body.include or [])
        if top and not wanted:
            raise InvalidRequest(
                f"'top_logprobs' needs '{LOGPROBS}' in 'include'", param="top_logprobs"
            )
        return Asked(
            ChatRequest(
                model=body.model,
                messages=response_messages(body, limits),
                max_completion_tokens=body.max_output_tokens,
                stream=body.stream,
                stream_options=body.stream_options,
                temperature=body.temperature,
                top_p=body.top_p,
                logprobs=wanted,
                top_logprobs=top,
                response_format=_response_format(text.format),
                reasoning_effort=body.reasoning.effort if body.reasoning else None,
                seed=body.seed,
                tools=our_tools(body.tools),
                tool_choice=our_choice(body.tool_choice),
                parallel_tool_calls=body.parallel_tool_calls,
            ),
            in_parts=True,
        )

    def shape(self, body: ResponsesRequest, plan: Plan) -> ResponseShape:
        return ResponseShape(body, plan)


def _response_format(asked: OutputFormat | None) -> ResponseFormat | None:
    if asked is None or asked.type == "text":
        return None
    if asked.type == "json_object":
        return ResponseFormat(type="json_object")
    return schema_format(asked.schema)
