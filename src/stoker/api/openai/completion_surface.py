"""POST /v1/completions."""

from __future__ import annotations

from collections.abc import Mapping

from stoker.api.openai.completion_schema import CompletionRequest
from stoker.api.openai.completion_shape import CompletionShape, choice_shapes
from stoker.api.openai.prompt_logprobs import PromptScores
from stoker.api.plan import Plan
from stoker.api.surface import Asked
from stoker.config.schema import LimitsSection

DEFAULT_MAX_TOKENS = 16
"""OpenAI's."""


class Completions:
    """Implements Surface."""

    record = CompletionRequest
    names: Mapping[str, str] = {}

    def asked(self, body: CompletionRequest, limits: LimitsSection) -> Asked:
        return Asked(body, DEFAULT_MAX_TOKENS)

    def shape(self, body: CompletionRequest, plan: Plan) -> CompletionShape:
        options, each = body.stream_options, plan.job.choices_per_prompt
        return CompletionShape(
            plan.identity("cmpl-"),
            choice_shapes(plan.prompts, each, plan.tokenizer, body.logprobs, body.echo),
            PromptScores(plan.tokenizer, body.prompt_logprobs),
            with_usage=bool(options and options.include_usage),
        )
