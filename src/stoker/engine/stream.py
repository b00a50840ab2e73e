"""One live request as the front keeps it: what was delivered, and what waits for its consumer."""

from __future__ import annotations

import asyncio

from stoker.core.output import Finish, FinishReason, TokenDelta
from stoker.core.request import Request
from stoker.engine.continuation import Continuation
from stoker.errors import StokerError


class Stream:
    """Deltas that arrive faster than they are consumed are merged, so a slow consumer holds one
    delta, bounded by max_tokens."""

    def __init__(self, request: Request, deadline: float | None) -> None:
        self.request = request
        self.deadline = deadline
        self.cancelled = False
        self.in_engine = False
        """Whether the running engine has it; when not, there is nobody to cancel it at."""
        self.computing = False
        """Whether it is part of the step the engine was last known to begin."""
        self.finished = False
        self._continuation = Continuation(request, deadline)
        self._pending: TokenDelta | None = None
        self._error: StokerError | None = None
        self._arrived = asyncio.Event()

    def push(self, delta: TokenDelta) -> None:
        """Takes in a delta. After the ending, nothing more is accepted."""
        if self.finished:
            return
        delta = self._continuation.took(delta)
        self.finished = delta.finish is not None
        self._pending = delta if self._pending is None else _merge(self._pending, delta)
        self._arrived.set()

    def end(self, reason: FinishReason, error_code: str | None = None) -> None:
        self.push(TokenDelta(self.request.request_id, finish=Finish(reason, error_code=error_code)))

    def refuse(self, error: StokerError) -> None:
        """The engine does not take the request. Its consumer gets the error, or, once something
        was delivered, an ending."""
        if self._continuation.begun:
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
        return self._continuation.hopeless

    @property
    def suspect(self) -> bool:
        return self._continuation.suspect and not self.finished

    def engine_died(self) -> bool:
        """The engine is gone. Returns whether it was computing this: a request that only waited
        had no part in that."""
        computing, self.computing, self.in_engine = self.computing, False, False
        if computing:
            self._continuation.died_computing()
        return computing

    def continuation(self, now: float) -> Request:
        """The request as a restarted engine has to see it."""
        return self._continuation.request(now)


def _merge(first: TokenDelta, second: TokenDelta) -> TokenDelta:
    return TokenDelta(
        first.request_id,
        token_ids=first.token_ids + second.token_ids,
        logprobs=first.logprobs + second.logprobs,
        prompt_logprobs=first.prompt_logprobs + second.prompt_logprobs,
        num_cached_tokens=max(first.num_cached_tokens, second.num_cached_tokens),
        queued_seconds=max(first.queued_seconds, second.queued_seconds),
        pooled=second.pooled,
        finish=second.finish,
    )
