"""One live request as the front keeps it: what was delivered, and what waits for its consumer."""

from __future__ import annotations

import asyncio

import msgspec

from stoker.core.ids import TokenId
from stoker.core.output import Finish, FinishReason, TokenDelta, TokenLogprobs
from stoker.core.request import Request
from stoker.errors import StokerError

MAX_FRUITLESS = 3
"""Engines that may die while they compute a request, one after the other, without giving it a
single token."""


SUSPECT = 2
"""So many, and it is computed without other suspects, so that they are not blamed for it."""


class Stream:
    """Deltas that arrive faster than they are consumed are merged, so a slow consumer holds one
    delta, bounded by max_tokens. Everything received is remembered until the end: it is what a
    restarted engine needs to continue exactly."""

    def __init__(self, request: Request, deadline: float | None) -> None:
        self.request = request
        self.deadline = deadline
        self.cancelled = False
        self.in_engine = False
        """Whether the running engine has it; when not, there is nobody to cancel it at."""
        self.computing = False
        """Whether it is part of the step the engine was last known to begin."""
        self.finished = False
        self._received: list[TokenId] = []
        self._prompt_logprobs = 0
        self._skip_prompt_logprobs = 0
        self._fruitless = 0
        self._pending: TokenDelta | None = None
        self._error: StokerError | None = None
        self._arrived = asyncio.Event()

    def push(self, delta: TokenDelta) -> None:
        """Takes in a delta. After the ending, nothing more is accepted."""
        if self.finished:
            return
        delta = self._without_repeats(delta)
        self._received += delta.token_ids
        self._prompt_logprobs += len(delta.prompt_logprobs)
        if delta.token_ids:
            self._fruitless = 0
        self.finished = delta.finish is not None
        self._pending = delta if self._pending is None else _merge(self._pending, delta)
        self._arrived.set()

    def end(self, reason: FinishReason, error_code: str | None = None) -> None:
        self.push(TokenDelta(self.request.request_id, finish=Finish(reason, error_code=error_code)))

    def refuse(self, error: StokerError) -> None:
        """The engine does not take the request. Its consumer gets the error, or, once something
        was delivered, an ending."""
        if self._received or self._prompt_logprobs:
            self.end(FinishReason.ERROR, error.code)
        elif not self.finished:
            self.finished = True
            self._error = error
            self._arrived.set()

    async def next(self) -> TokenDelta:
        """The next delta, merged from all that arrived. Raises the error of a refused request."""
        while self._pending is None:
            if self._error is not None:
                raise self._error
            self._arrived.clear()
            await self._arrived.wait()
        delta, self._pending = self._pending, None
        return delta

    @property
    def hopeless(self) -> bool:
        """Whether so many engines died computing it that it may be what kills them. Such a request
        is given up, before it uses up the restarts that all others depend on."""
        return self._fruitless >= MAX_FRUITLESS

    @property
    def suspect(self) -> bool:
        return self._fruitless >= SUSPECT and not self.finished

    def engine_died(self) -> None:
        """The engine is gone. A request that only waited had no part in that."""
        self.in_engine = False
        if self.computing:
            self.computing = False
            self._fruitless += 1

    def continuation(self, now: float) -> Request:
        """The request as a restarted engine has to see it: tokens already delivered are part of
        it, and the time already spent is gone."""
        self._skip_prompt_logprobs = 0 if self._received else self._prompt_logprobs
        timeout = None if self.deadline is None else max(self.deadline - now, 0.0)
        return msgspec.structs.replace(
            self.request, output_token_ids=tuple(self._received), timeout=timeout
        )

    def _without_repeats(self, delta: TokenDelta) -> TokenDelta:
        """A prompt that is scored anew after a restart repeats scores that were delivered."""
        skip = min(self._skip_prompt_logprobs, len(delta.prompt_logprobs))
        if not skip:
            return delta
        self._skip_prompt_logprobs -= skip
        rest: tuple[TokenLogprobs, ...] = delta.prompt_logprobs[skip:]
        return msgspec.structs.replace(delta, prompt_logprobs=rest)


def _merge(first: TokenDelta, second: TokenDelta) -> TokenDelta:
    return TokenDelta(
        first.request_id,
        token_ids=first.token_ids + second.token_ids,
        logprobs=first.logprobs + second.logprobs,
        prompt_logprobs=first.prompt_logprobs + second.prompt_logprobs,
        num_cached_tokens=max(first.num_cached_tokens, second.num_cached_tokens),
        queued_seconds=max(first.queued_seconds, second.queued_seconds),
        finish=second.finish,
    )
