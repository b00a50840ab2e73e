"""Runs the sequences of one request and joins what they produce into one stream of text."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import cast

import msgspec

from stoker.api.answer_parts import AnswerParts
from stoker.api.assembler import TextAssembler, TextDelta
from stoker.core.clock import Clock
from stoker.core.output import TokenDelta
from stoker.core.request import Request
from stoker.engine.interface import Backend
from stoker.errors import ReplicaLost
from stoker.observe.metrics import ModelMetrics
from stoker.text.calls.protocol import Reading
from stoker.text.tokenizer import Tokenizer


class Choice(msgspec.Struct, frozen=True):
    """One sequence of a request."""

    index: int
    request: Request
    stops: tuple[str, ...] = ()
    reading: Reading | None = None
    """How its text is taken apart; None: it is text only."""
    prompt_only: bool = False
    """Only the prompt is scored; the one token that scoring needs is not shown or counted."""


class Generator:
    """Stateless between requests. One per served model."""

    def __init__(
        self, backend: Backend, tokenizer: Tokenizer, metrics: ModelMetrics, clock: Clock
    ) -> None:
        self._backend = backend
        self._tokenizer = tokenizer
        self._metrics = metrics
        self._clock = clock

    def stream(self, choices: Sequence[Choice]) -> AsyncGenerator[list[TextDelta], None]:
        """Batches of deltas as they come; each choice ends with one that has a finish reason.

        Closing it cancels every sequence. Raises CapacityError, ServingError, RequestError.
        """
        return self._sequence(choices[0]) if len(choices) == 1 else self._many(choices)

    async def _many(self, choices: Sequence[Choice]) -> AsyncGenerator[list[TextDelta], None]:
        """Whatever is ready together is delivered together."""
        queue: asyncio.Queue[TextDelta | BaseException] = asyncio.Queue(maxsize=len(choices))
        tasks = [asyncio.create_task(self._pump(choice, queue)) for choice in choices]
        open_choices = len(choices)
        try:
            while open_choices:
                ready = [await queue.get()]
                while not queue.empty():
                    ready.append(queue.get_nowait())
                batch = [_raised(item) for item in ready]
                open_choices -= sum(delta.finish_reason is not None for delta in batch)
                yield batch
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _pump(self, choice: Choice, queue: asyncio.Queue[TextDelta | BaseException]) -> None:
        try:
            async with aclosing(self._sequence(choice)) as batches:
                async for (delta,) in batches:
                    await queue.put(delta)
        except Exception as error:
            await queue.put(error)

    async def _sequence(self, choice: Choice) -> AsyncGenerator[list[TextDelta], None]:
        """Batches of one: the deltas of this choice alone."""
        sampling = choice.request.sampling
        assembler = TextAssembler(
            self._tokenizer,
            choice.index,
            choice.stops,
            sampling.min_tokens,
            choice.reading.shown if choice.reading else None,
        )
        parts = AnswerParts(choice.reading) if choice.reading else None
        submitted = cast("AsyncGenerator[TokenDelta, None]", self._backend.submit(choice.request))
        timing = self._metrics.sequence(self._clock.monotonic())
        try:
            async with aclosing(submitted) as deltas:
                async for delta in deltas:
                    now = self._clock.monotonic()
                    timing.received(now, len(delta.token_ids), delta.queued_seconds)
                    assembled = assembler.push(delta)
                    if assembled.finish_reason is not None:
                        timing.ended(self._clock.monotonic(), assembled.finish_reason)
                    if parts is not None:
                        assembled = parts.read(assembled)
                    yield [_without_output(assembled) if choice.prompt_only else assembled]
                    if assembled.finish_reason is not None:
                        return
        finally:
            timing.abandoned(self._clock.monotonic())
        raise ReplicaLost("the stream ended without an ending")


def _without_output(delta: TextDelta) -> TextDelta:
    ended = None if delta.finish_reason is None else "length"
    return msgspec.structs.replace(delta, text="", logprobs=(), num_tokens=0, finish_reason=ended)


def _raised(item: TextDelta | BaseException) -> TextDelta:
    if isinstance(item, BaseException):
        raise item
    return item
