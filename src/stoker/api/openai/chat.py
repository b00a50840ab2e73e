"""A conversation checked and encoded, whichever surface it came by."""

from __future__ import annotations

import functools
from collections.abc import Sequence

from stoker.api.exchange import Exchange
from stoker.api.openai.chat_schema import ChatRequest
from stoker.api.openai.job import (
    check_number,
    check_request,
    checked_constraint,
    make_job,
    seconds_left,
    vocabulary_of,
)
from stoker.api.openai.messages import plain_messages
from stoker.api.openai.prompt_logprobs import checked_prompt_logprobs
from stoker.api.openai.sampling import (
    checked_length,
    num_choices,
    sampling_params,
    stop_strings,
)
from stoker.api.openai.template_variables import template_variables
from stoker.api.openai.tools import ToolUse, tool_use
from stoker.api.plan import Plan
from stoker.api.service import Service
from stoker.api.surface import Asked
from stoker.config.schema import LimitsSection
from stoker.core.constraint import Constraint
from stoker.core.ids import TokenId
from stoker.errors import InvalidRequest, UnsupportedConstraint
from stoker.text.calls.protocol import Reading


async def plan_chat(
    exchange: Exchange, service: Service, asked: Asked, request: ChatRequest
) -> Plan:
    """Raises RequestError, Loading and DeadlineExceeded."""
    limits = service.limits
    check_request(request)
    vocabulary = vocabulary_of(service)
    n, stops = num_choices(request, limits), stop_strings(request, limits)
    check_number(1, n, service)
    logprobs = _logprobs(request, limits)
    prompt_logprobs = checked_prompt_logprobs(request, limits)
    most = _max_tokens(request)
    use = tool_use(request, limits)
    _check_thinking(service, asked)
    formed = await checked_constraint(exchange, request, service)
    ids = await service.off_loop.run(
        exchange.body_size, lambda: encode_messages(service, request, use)
    )
    # What a format shapes is the whole answer: there is no thinking to be told from it.
    reading = _reading(service, ids, use) if asked.in_parts and formed is None else None
    calls = await _forced_calls(exchange, service, reading, use)
    length = checked_length(len(ids), most, asked.default_tokens, vocabulary, "messages")
    sampling = sampling_params(
        request,
        vocabulary,
        limits,
        max_tokens=length,
        logprobs=logprobs,
        prompt_logprobs=prompt_logprobs,
    )
    job = make_job(
        exchange,
        [(ids, sampling)],
        n=n,
        stops=stops,
        seconds=seconds_left(exchange, service),
        seeded=request.seed is not None,
        constraint=formed or calls,
        reading=reading,
    )
    return Plan(exchange, service, job)


async def _forced_calls(
    exchange: Exchange, service: Service, reading: Reading | None, use: ToolUse | None
) -> Constraint | None:
    """Raises InvalidRequest, and UnsupportedConstraint for schemas that cannot be enforced."""
    if use is None or not use.forced:
        return None
    if reading is None:
        raise InvalidRequest(
            "'tool_choice' forces a call, and another field says what the answer looks like",
            param="tool_choice",
        )
    forced = functools.partial(reading.forced, use.forced)
    constraint = await service.off_loop.run(exchange.body_size, forced)
    await service.trial.check(constraint, "tools")
    return constraint


def _check_thinking(service: Service, asked: Asked) -> None:
    protocol = service.text.protocol
    if asked.must_think and (protocol is None or protocol.form.reasoning is None):
        raise UnsupportedConstraint(
            "'thinking' is not supported by this model",
            param="thinking",
            hint="Leave it out, or use a model whose chat template shows its reasoning.",
        )


def _reading(service: Service, prompt: Sequence[TokenId], use: ToolUse | None) -> Reading | None:
    protocol = service.text.protocol
    if protocol is None:
        return None
    if use is None:
        return protocol.reading(service.text.tokenizer, prompt, None)
    return protocol.reading(service.text.tokenizer, prompt, use.told, use.most_calls)


def encode_messages(
    service: Service, request: ChatRequest, use: ToolUse | None = None
) -> list[TokenId]:
    """The prompt's tokens, template and all. Slow when there is much text. Raises RequestError."""
    template, protocol = service.text.chat_template, service.text.protocol
    if template is None or protocol is None:
        raise UnsupportedConstraint(
            "this model has no chat template",
            param="messages",
            hint="It is a base model: use POST /v1/completions.",
        )
    messages, tools = protocol.conversation(
        plain_messages(request.messages, service.limits), use.told if use else ()
    )
    variables = template_variables(request, service.limits)
    if not request.continue_final_message:
        begin = request.add_generation_prompt is not False
        return template.encode(
            messages, tools=tools, add_generation_prompt=begin, variables=variables
        )
    if request.add_generation_prompt:
        raise InvalidRequest(
            "'continue_final_message' and 'add_generation_prompt' contradict each other",
            param="continue_final_message",
        )
    return template.encode_unfinished(messages, tools=tools, variables=variables)


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
