"""What every generation request goes through on its way from fields to a Job."""

from __future__ import annotations

from collections.abc import Sequence

from stoker.api.exchange import Exchange
from stoker.api.generation import Choice
from stoker.api.openai.constraint import wanted_constraint
from stoker.api.openai.fields import SamplingFields, refuse_unsupported
from stoker.api.openai.sampling import Vocabulary, with_seed_of
from stoker.api.plan import Job
from stoker.api.service import Service
from stoker.config.schema import LimitsSection
from stoker.core.constraint import Constraint
from stoker.core.ids import RequestId, TokenId
from stoker.core.request import Request
from stoker.core.sampling import SamplingParams
from stoker.errors import DeadlineExceeded, InvalidRequest
from stoker.text.calls.protocol import Reading

TIMEOUT_HEADER = b"x-request-timeout"
SESSION_HEADER = b"x-session-id"
"""Requests that name the same session go to the same replica where the policy says so."""
SESSION_LENGTH = 128


def check_request(request: SamplingFields) -> None:
    """What needs no tokens. Raises RequestError."""
    refuse_unsupported(request)
    if request.stream_options is not None and not request.stream:
        raise InvalidRequest("'stream_options' needs 'stream'", param="stream_options")


def vocabulary_of(service: Service) -> Vocabulary:
    """Raises Loading."""
    info = service.backend.info
    return Vocabulary(min(info.vocab_size, service.text.tokenizer.vocab_size), info.max_context)


async def checked_constraint(
    exchange: Exchange, request: SamplingFields, service: Service
) -> Constraint | None:
    """Raises InvalidRequest, and UnsupportedConstraint for one that cannot be enforced."""
    wanted = await service.off_loop.run(exchange.body_size, lambda: wanted_constraint(request))
    if wanted is None:
        return None
    await service.trial.check(wanted.constraint, wanted.param)
    return wanted.constraint


def seconds_left(exchange: Exchange, service: Service) -> float:
    """See `time_left`."""
    return time_left(exchange, service.limits, service.clock.monotonic())


def time_left(exchange: Exchange, limits: LimitsSection, now: float) -> float:
    """The server's limit or the client's own, whichever is less, minus what has passed. Raises
    DeadlineExceeded when nothing is left."""
    seconds = min(limits.request_seconds, exchange.seconds)
    asked = exchange.header(TIMEOUT_HEADER)
    if asked is not None:
        seconds = min(seconds, _seconds(asked))
    left = exchange.arrived + seconds - now
    if left <= 0:
        raise DeadlineExceeded("no time left before the first token")
    return left


def _seconds(text: str) -> float:
    whole, _, fraction = text.partition(".")
    digits = whole + fraction
    if not (digits.isascii() and digits.isdecimal() and len(digits) <= 12) or float(text) <= 0:
        raise InvalidRequest(
            "the header 'x-request-timeout' must be a number of seconds above 0",
            param="x-request-timeout",
        )
    return float(text)


def make_job(
    exchange: Exchange,
    prompts: Sequence[tuple[Sequence[TokenId], SamplingParams]],
    *,
    n: int,
    stops: tuple[str, ...],
    seconds: float,
    seeded: bool,
    prompt_only: bool = False,
    constraint: Constraint | None = None,
    reading: Reading | None = None,
) -> Job:
    """Choices in OpenAI's order: all of the first prompt, then all of the second.

    With the client's seed the same prompt gives the same answers wherever it stands in a batch;
    without one every choice draws on its own.
    """
    choices = []
    tenant = exchange.principal.tenant
    session = (exchange.header(SESSION_HEADER) or "")[:SESSION_LENGTH]
    for number, (ids, sampling) in enumerate(prompts):
        for choice in range(n):
            index = number * n + choice
            request = Request(
                request_id=RequestId(f"{exchange.request_id}-{index}"),
                prompt_token_ids=tuple(ids),
                sampling=with_seed_of(sampling, choice if seeded else index),
                constraint=constraint,
                adapter=exchange.adapter_key,
                timeout=seconds,
                tenant=tenant.name,
                priority=int(tenant.band),
                session=session,
            )
            choices.append(Choice(index, request, stops, reading, prompt_only))
    return Job(
        choices=tuple(choices),
        num_prompt_tokens=sum(len(ids) for ids, _ in prompts),
        choices_per_prompt=n,
        seconds=seconds,
    )


def check_number(num_prompts: int, n: int, service: Service) -> None:
    """Raises InvalidRequest for more sequences than the engine ever holds at once, and Loading.
    Fewer may still be too many for now."""
    most = service.backend.info.max_requests
    if num_prompts * n > most:
        raise InvalidRequest(
            f"{num_prompts * n} answers are asked for; this server holds {most} at once",
            param="n" if n > 1 else "prompt",
            hint="Ask for fewer, or for some of them in another request.",
        )
