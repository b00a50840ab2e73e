"""POST /v1/chat/completions."""

from __future__ import annotations

import time

import stoker
from stoker.api.answer import Answer, Job
from stoker.api.exchange import Exchange
from stoker.api.openai.chat_schema import ChatRequest
from stoker.api.openai.chat_shape import ChatShape
from stoker.api.openai.job import (
    Identity,
    check_number,
    check_request,
    make_job,
    seconds_left,
    vocabulary_of,
)
from stoker.api.openai.messages import plain_messages
from stoker.api.openai.prompt_logprobs import PromptScores, checked_prompt_logprobs
from stoker.api.openai.sampling import (
    checked_length,
    num_choices,
    sampling_params,
    stop_strings,
)
from stoker.api.openai.template_variables import template_variables
from stoker.api.service import Service
from stoker.config.schema import LimitsSection
from stoker.core.ids import TokenId
from stoker.errors import InvalidRequest, UnsupportedConstraint


class ChatCompletions:
    def __init__(self, service: Service) -> None:
        self._service = service

    async def __call__(self, exchange: Exchange) -> None:
        request = await self._service.off_loop.read(exchange, ChatRequest)
        job = await self._job(exchange, request)
        options = request.stream_options
        shape = ChatShape(
            Identity(
                exchange.request_id.replace("req_", "chatcmpl-"),
                int(time.time()),
                self._service.name,
                f"stoker-{stoker.__version__}",
            ),
            self._service.text.tokenizer,
            len(job.choices),
            with_logprobs=bool(request.logprobs),
            prompt_scores=PromptScores(self._service.text.tokenizer, request.prompt_logprobs),
            with_usage=bool(options and options.include_usage),
        )
        answer = Answer(exchange, self._service, job, shape)
        await answer.send(streamed=bool(request.stream))

    async def _job(self, exchange: Exchange, request: ChatRequest) -> Job:
        service, limits = self._service, self._service.limits
        check_request(request)
        vocabulary = vocabulary_of(service)
        n, stops = num_choices(request, limits), stop_strings(request, limits)
        check_number(1, n, service)
        logprobs = _logprobs(request, limits)
        prompt_logprobs = checked_prompt_logprobs(request, limits)
        asked = _max_tokens(request)
        ids = await service.off_loop.run(
            exchange.body_size, lambda: encode_messages(service, request)
        )
        length = checked_length(len(ids), asked, None, vocabulary, "messages")
        sampling = sampling_params(
            request,
            vocabulary,
            limits,
            max_tokens=length,
            logprobs=logprobs,
            prompt_logprobs=prompt_logprobs,
        )
        return make_job(
            exchange,
            [(ids, sampling)],
            n=n,
            stops=stops,
            seconds=seconds_left(exchange, service),
            seeded=request.seed is not None,
        )


def encode_messages(service: Service, request: ChatRequest) -> list[TokenId]:
    """The prompt's tokens, template and all. Slow when there is much text. Raises RequestError."""
    template = service.text.chat_template
    if template is None:
        raise UnsupportedConstraint(
            "this model has no chat template",
            param="messages",
            hint="It is a base model: use POST /v1/completions.",
        )
    messages = plain_messages(request.messages, service.limits)
    variables = template_variables(request, service.limits)
    if not request.continue_final_message:
        begin = request.add_generation_prompt is not False
        return template.encode(messages, add_generation_prompt=begin, variables=variables)
    if request.add_generation_prompt:
        raise InvalidRequest(
            "'continue_final_message' and 'add_generation_prompt' contradict each other",
            param="continue_final_message",
        )
    return template.encode_unfinished(messages, variables=variables)


def _logprobs(request: ChatRequest, limits: LimitsSection) -> int | None:
    top = request.top_logprobs
    if top is not None and top > limits.top_logprobs:
        raise InvalidRequest(
            f"'top_logprobs' is {top}; the most is {limits.top_logprobs}", param="top_logprobs"
        )
    if not request.logprobs:
        if top:
            raise InvalidRequest("'top_logprobs' needs 'logprobs'", param="top_logprobs")
        return None
    return top or 0


def _max_tokens(request: ChatRequest) -> int | None:
    old, new = request.max_tokens, request.max_completion_tokens
    if old is not None and new is not None and old != new:
        raise InvalidRequest(
            "'max_tokens' and 'max_completion_tokens' differ", param="max_completion_tokens"
        )
    param, asked = ("max_tokens", old) if new is None else ("max_completion_tokens", new)
    if asked == 0:
        raise InvalidRequest(f"'{param}' must be at least 1", param=param)
    return asked
