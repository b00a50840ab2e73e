"""A text to continue checked and encoded, whichever surface it came by."""

from __future__ import annotations

from stoker.api.exchange import Exchange
from stoker.api.openai.completion_schema import CompletionRequest
from stoker.api.openai.job import (
    check_number,
    check_request,
    checked_constraint,
    make_job,
    seconds_left,
    vocabulary_of,
)
from stoker.api.openai.prompt_logprobs import checked_prompt_logprobs
from stoker.api.openai.prompts import read_prompts
from stoker.api.openai.sampling import (
    Vocabulary,
    checked_length,
    num_choices,
    sampling_params,
    stop_strings,
)
from stoker.api.plan import Plan, Prompt
from stoker.api.service import Service
from stoker.config.schema import LimitsSection
from stoker.core.sampling import SamplingParams
from stoker.errors import InvalidRequest


async def plan_text(
    exchange: Exchange, service: Service, request: CompletionRequest, default_tokens: int | None
) -> Plan:
    """Raises RequestError, Loading and DeadlineExceeded."""
    limits = service.limits
    check_request(request)
    vocabulary = vocabulary_of(service)
    n = num_choices(request, limits)
    _check(request, limits.top_logprobs)
    prompts = await service.off_loop.run(
        exchange.body_size, lambda: read_prompts(service, request.prompt, vocabulary.size)
    )
    check_number(len(prompts), n, service)
    constraint = await checked_constraint(exchange, request, service)
    job = make_job(
        exchange,
        [
            (prompt.token_ids, _sampling(request, prompt, vocabulary, limits, default_tokens))
            for prompt in prompts
        ],
        n=n,
        stops=stop_strings(request, limits),
        seconds=seconds_left(exchange, service),
        seeded=request.seed is not None,
        prompt_only=request.max_tokens == 0,
        constraint=constraint,
    )
    return Plan(exchange, service, job, prompts)


def _sampling(
    request: CompletionRequest,
    prompt: Prompt,
    vocabulary: Vocabulary,
    limits: LimitsSection,
    default_tokens: int | None,
) -> SamplingParams:
    asked = max(1, request.max_tokens) if request.max_tokens is not None else None
    length = checked_length(len(prompt.token_ids), asked, default_tokens, vocabulary, "prompt")
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
