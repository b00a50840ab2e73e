"""POST /v1/completions."""

from __future__ import annotations

import time

import stoker
from stoker.api.answer import Answer, Job
from stoker.api.exchange import Exchange
from stoker.api.openai.completion_schema import CompletionRequest
from stoker.api.openai.completion_shape import CompletionShape, choice_shapes
from stoker.api.openai.job import (
    Identity,
    check_number,
    check_request,
    make_job,
    seconds_left,
    vocabulary_of,
)
from stoker.api.openai.prompt_logprobs import PromptScores, checked_prompt_logprobs
from stoker.api.openai.prompts import Prompt, read_prompts
from stoker.api.openai.sampling import (
    Vocabulary,
    checked_length,
    num_choices,
    sampling_params,
    stop_strings,
)
from stoker.api.service import Service
from stoker.core.sampling import SamplingParams
from stoker.errors import InvalidRequest

DEFAULT_MAX_TOKENS = 16
"""OpenAI's."""


class Completions:
    def __init__(self, service: Service) -> None:
        self._service = service

    async def __call__(self, exchange: Exchange) -> None:
        service = self._service
        request = await service.off_loop.read(exchange, CompletionRequest)
        check_request(request)
        vocabulary = vocabulary_of(service)
        n = num_choices(request, service.limits)
        _check(request, service.limits.top_logprobs)
        prompts = await service.off_loop.run(
            exchange.body_size, lambda: read_prompts(service, request.prompt, vocabulary.size)
        )
        check_number(len(prompts), n, service)
        job = self._job(exchange, request, prompts, vocabulary, n)
        options = request.stream_options
        shape = CompletionShape(
            Identity(
                exchange.request_id.replace("req_", "cmpl-"),
                int(time.time()),
                service.name,
                f"stoker-{stoker.__version__}",
            ),
            choice_shapes(prompts, n, service.text.tokenizer, request.logprobs, request.echo),
            PromptScores(service.text.tokenizer, request.prompt_logprobs),
            with_usage=bool(options and options.include_usage),
        )
        answer = Answer(exchange, service, job, shape)
        await answer.send(streamed=bool(request.stream))

    def _job(
        self,
        exchange: Exchange,
        request: CompletionRequest,
        prompts: list[Prompt],
        vocabulary: Vocabulary,
        n: int,
    ) -> Job:
        return make_job(
            exchange,
            [(prompt.token_ids, self._sampling(request, prompt, vocabulary)) for prompt in prompts],
            n=n,
            stops=stop_strings(request, self._service.limits),
            seconds=seconds_left(exchange, self._service),
            seeded=request.seed is not None,
            prompt_only=request.max_tokens == 0,
        )

    def _sampling(
        self, request: CompletionRequest, prompt: Prompt, vocabulary: Vocabulary
    ) -> SamplingParams:
        asked = max(1, request.max_tokens) if request.max_tokens is not None else None
        length = checked_length(
            len(prompt.token_ids), asked, DEFAULT_MAX_TOKENS, vocabulary, "prompt"
        )
        limits = self._service.limits
        return sampling_params(
            request,
            vocabulary,
            limits,
            max_tokens=length,
            logprobs=request.logprobs,
            prompt_logprobs=_scored(request, checked_prompt_logprobs(request, limits)),
        )


def _scored(request: CompletionRequest, prompt_logprobs: int | None) -> int | None:
    """How many alternatives to the prompt's tokens the engine has to tell for both fields."""
    echoed = request.logprobs if request.echo else None
    asked = [count for count in (echoed, prompt_logprobs) if count is not None]
    return max(asked, default=None)


def _check(request: CompletionRequest, most_logprobs: int) -> None:
    if request.logprobs is not None and request.logprobs > most_logprobs:
        raise InvalidRequest(
            f"'logprobs' is {request.logprobs}; the most is {most_logprobs}", param="logprobs"
        )
    if request.max_tokens == 0 and not request.echo:
        raise InvalidRequest("'max_tokens' 0 needs 'echo'", param="max_tokens")
