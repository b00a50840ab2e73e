"""Runs the choices of a request and writes the answer in a surface's shape, whole or streamed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Protocol

from msgspec.structs import replace

from stoker.api.answer_sections import Sections
from stoker.api.assembler import TextDelta
from stoker.api.failure import as_stoker_error
from stoker.api.generation import Choice
from stoker.api.openai.usage import Usage, UsageCounter
from stoker.api.plan import Plan
from stoker.api.sse import EventStream
from stoker.core.output import TokenLogprobs
from stoker.errors import BudgetExhausted, DeadlineExceeded
from stoker.gateway.admission import Demand

ENGINE_MARGIN = 1.0
"""Seconds the engine has to report a passed deadline before we end the request ourselves."""

LOGPROB_BYTES = 32


class Collected:
    """One finished choice."""

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self.sections = Sections()
        self.logprobs: list[TokenLogprobs] = []
        self.prompt_logprobs: list[TokenLogprobs] = []
        self.finish_reason = ""
        self.stop: str | None = None
        self.num_tokens = 0
        self.num_cached_tokens = 0

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    @property
    def logprobs_size(self) -> int:
        """About as many bytes as they take in an answer."""
        entries = (*self.logprobs, *self.prompt_logprobs)
        return LOGPROB_BYTES * sum(len(entry.top) + 1 for entry in entries)

    def add(self, delta: TextDelta) -> None:
        self.pieces.append(delta.text)
        self.sections.add(delta)
        self.logprobs += delta.logprobs
        self.prompt_logprobs += delta.prompt_logprobs
        self.finish_reason = delta.finish_reason or self.finish_reason
        self.stop = delta.stop or self.stop
        self.num_tokens = delta.num_tokens
        self.num_cached_tokens = delta.num_cached_tokens


class Shape(Protocol):
    """How one surface spells an answer."""

    def opening(self, usage: Usage) -> bytes:
        """Events before the first text. `usage` is what is known of the prompt by then."""
        ...

    def events(self, batch: Sequence[TextDelta]) -> bytes: ...

    def closing(self, usage: Usage) -> bytes:
        """Events after every choice has finished, before the dialect's end marker."""
        ...

    def whole(self, collected: Sequence[Collected], usage: Usage) -> bytes: ...


class Answer:
    def __init__(self, plan: Plan, shape: Shape) -> None:
        self._plan = plan
        self._exchange = plan.exchange
        self._service = plan.service
        self._job = job = plan.job
        self._timing = plan.timing
        self._shape = shape
        self._usage = UsageCounter(job.num_prompt_tokens, len(job.choices), job.choices_per_prompt)

    async def send(self, *, streamed: bool) -> None:
        """Raises StokerError while nothing was sent yet, and ClientGone."""
        if streamed:
            stream = EventStream(self._exchange)
            with self._service.metrics.server.open_streams.track_inprogress():
                await self._exchange.while_connected(self._streamed(stream), stream.keep_alive)
        else:
            await self._exchange.while_connected(self._whole())

    async def _whole(self) -> None:
        collected = [Collected() for _ in self._job.choices]
        try:
            async with asyncio.timeout(self._job.seconds + ENGINE_MARGIN):
                async with aclosing(self._batches()) as batches:
                    async for batch in batches:
                        for delta in batch:
                            collected[delta.index].add(delta)
        except TimeoutError:
            raise DeadlineExceeded("the engine is late") from None
        body = await self._service.off_loop.run(
            sum(one.logprobs_size for one in collected),
            lambda: self._shape.whole(collected, self._usage.usage),
        )
        await self._exchange.respond(body)

    async def _streamed(self, stream: EventStream) -> None:
        try:
            async with asyncio.timeout(self._job.seconds + ENGINE_MARGIN):
                await self._copy(stream)
        except Exception as caught:
            error = DeadlineExceeded("late") if isinstance(caught, TimeoutError) else caught
            if not self._exchange.started:
                raise error from None
            public = as_stoker_error(error, self._exchange.request_id)
            self._service.metrics.server.failed(public.code)
            await stream.fail(public)

    async def _copy(self, stream: EventStream) -> None:
        unfinished = len(self._job.choices)
        opened = False
        async with aclosing(self._batches()) as batches:
            async for batch in batches:
                unfinished -= sum(delta.finish_reason is not None for delta in batch)
                opening = b"" if opened else self._shape.opening(self._usage.usage)
                events = opening + self._shape.events(batch)
                opened = True
                if not unfinished:
                    break
                if events:
                    await stream.write(events)
        await stream.finish(events + self._shape.closing(self._usage.usage))

    async def _batches(self) -> AsyncGenerator[list[TextDelta], None]:
        """What the choices produce, once the request is admitted; what they used is settled."""
        began = self._service.clock.monotonic()
        demand = demand_of(self._plan)
        async with self._service.admission.admit(demand, self._service.line) as admitted:
            waited = self._service.clock.monotonic() - began
            choices = limited(after(self._job.choices, waited), admitted.output_tokens)
            try:
                async with aclosing(self._service.generator.stream(choices)) as batches:
                    async for batch in batches:
                        self._timing.delivered(self._service.clock.monotonic())
                        self._usage.add(batch)
                        admitted.outcome = batch[-1].finish_reason or admitted.outcome
                        yield batch
            finally:
                admitted.usage = self._usage.spent


class ThroughFront:
    """Implements Answering: text is made here."""

    async def answer(self, plan: Plan, shape: Shape, *, streamed: bool) -> None:
        await Answer(plan, shape).send(streamed=streamed)

    async def close(self) -> None:
        return None


def demand_of(plan: Plan) -> Demand:
    """What it may come to."""
    exchange, service, job = plan.exchange, plan.service, plan.job
    return Demand(
        request_id=exchange.request_id,
        visit=exchange.visit,
        principal=exchange.principal,
        model=service.name,
        price=service.price,
        input_tokens=job.num_prompt_tokens,
        output_tokens=sum(choice.request.sampling.max_tokens for choice in job.choices),
        seconds=job.seconds,
        sequences=len(job.choices),
    )


def after(choices: Sequence[Choice], waited: float) -> Sequence[Choice]:
    """The choices with the time that is left: the engine counts from when it gets them."""
    return [
        replace(choice, request=replace(choice.request, timeout=choice.request.timeout - waited))
        if choice.request.timeout is not None
        else choice
        for choice in choices
    ]


def limited(choices: Sequence[Choice], output_tokens: int) -> Sequence[Choice]:
    """The choices, shortened alike until together they produce no more than `output_tokens`.
    Raises BudgetExhausted when that leaves one of them nothing."""
    wanted = sum(choice.request.sampling.max_tokens for choice in choices)
    if wanted <= output_tokens:
        return choices
    each = output_tokens // len(choices)
    if each == 0:
        raise BudgetExhausted("what is left of the budget does not pay for a token of each answer")
    return [_shortened(choice, each) for choice in choices]


def _shortened(choice: Choice, most: int) -> Choice:
    sampling = choice.request.sampling
    most = min(most, sampling.max_tokens)
    shorter = replace(sampling, max_tokens=most, min_tokens=min(most, sampling.min_tokens))
    return replace(choice, request=replace(choice.request, sampling=shorter))
