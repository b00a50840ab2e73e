"""POST /v1/messages."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from stoker.api.anthropic.conversation import conversation, thinks
from stoker.api.anthropic.message_shape import MessageShape
from stoker.api.anthropic.schema import MessagesRequest, OutputConfig, Thinking
from stoker.api.anthropic.tools import TOOL_NAMES
from stoker.api.openai.response_format import ResponseFormat, schema_format
from stoker.api.plan import Plan
from stoker.api.surface import Asked
from stoker.config.schema import LimitsSection
from stoker.errors import InvalidRequest


class Messages:
    """Implements Surface. `max_tokens` is a bound that clients must name without knowing the
    model, so what the context does not hold of it shortens the answer, and the answer says so."""

    record = MessagesRequest
    names: Mapping[str, str] = {
        "stop": "stop_sequences",
        "response_format.json_schema.schema": "output_config.format.schema",
        "response_format": "output_config.format",
        **TOOL_NAMES,
    }

    def asked(self, body: MessagesRequest, limits: LimitsSection) -> Asked:
        _check_budget(body.thinking, body.max_tokens)
        request = replace(
            conversation(body, limits),
            stream=body.stream,
            stop=body.stop_sequences,
            temperature=body.temperature,
            top_p=body.top_p,
            top_k=body.top_k,
            seed=body.seed,
            response_format=_response_format(body.output_config),
        )
        return Asked(
            request, body.max_tokens, in_parts=True, must_think=thinks(body.thinking) is True
        )

    def shape(self, body: MessagesRequest, plan: Plan) -> MessageShape:
        return MessageShape(plan.identity("msg_"), body.max_tokens)


def _check_budget(thinking: Thinking | None, max_tokens: int) -> None:
    budget = thinking.budget_tokens if thinking else None
    if budget is not None and budget >= max_tokens:
        raise InvalidRequest(
            "'thinking.budget_tokens' must be less than 'max_tokens'",
            param="thinking.budget_tokens",
        )


def _response_format(config: OutputConfig | None) -> ResponseFormat | None:
    if config is None or config.format is None:
        return None
    return schema_format(config.format.schema)
