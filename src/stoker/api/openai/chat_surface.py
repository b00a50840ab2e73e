"""POST /v1/chat/completions."""

from __future__ import annotations

from collections.abc import Mapping

from stoker.api.openai.chat_schema import ChatRequest
from stoker.api.openai.chat_shape import ChatShape
from stoker.api.openai.prompt_logprobs import PromptScores
from stoker.api.plan import Plan
from stoker.api.surface import Asked
from stoker.config.schema import LimitsSection


class ChatCompletions:
    """Implements Surface."""

    record: type[ChatRequest] = ChatRequest
    names: Mapping[str, str] = {}

    def asked(self, body: ChatRequest, limits: LimitsSection) -> Asked:
        return Asked(body, in_parts=True)

    def shape(self, body: ChatRequest, plan: Plan) -> ChatShape:
        options = body.stream_options
        return ChatShape(
            plan.identity("chatcmpl-"),
            plan.tokenizer,
            len(plan.job.choices),
            with_logprobs=bool(body.logprobs),
            prompt_scores=PromptScores(plan.tokenizer, body.prompt_logprobs),
            with_usage=bool(options and options.include_usage),
        )
