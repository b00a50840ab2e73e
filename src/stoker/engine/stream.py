"""One live request as the front keeps it: what was delivered, and what waits for its consumer."""

from __future__ import annotations

import asyncio

import msgspec

from stoker.core.ids import TokenId
from stoker.core.output import Finish, FinishReason, TokenDelta, TokenLogprobs
from stoker.core.request import Request
from stoker.errors import StokerError


class Stream:
    """Deltas that arrive faster than they are consumed are merged, so a slow consumer holds one
    delta, bounded by max_tokens. Everything received is remembered until the end: it is what a
    restarted engine needs to continue exactly."""

    def __init__(self, request: Request, deadline: float | None) -> None:
        self.request = request
        self.deadline = deadline
        self.cancelled = False
        self._received: list[TokenId] = []
        self._prompt_logprobs = 0
        self._skip_prompt_logprobs = 0
        self._pending: TokenDelta | None = None
        self._error: StokerError | None = None
        self._arrived = asyncio.Event()
        self.finished = False

    @property
    def started(self) -> bool:
        return bool(self._received)

    def push(self, delta: TokenDelta) -> None:
        """Takes in a delta from the engine. After the ending, nothing more is accepted."""
        if self.finished:
            return
        delta = self._without_repeats(delta)
        self._received += delta.token_ids
        self._prompt_logprobs += len(delta.prompt_logprobs)
        self.finished = delta.finish is not None
        self._pending = delta if self._pending is None else _merge(self._pending, delta)
        self._arrived.set()

    def end(self, reason: FinishReason, error_code: str | None = None) -> None:
        self.push(TokenDelta(self.request.request_id, finish=Finish(reason, error_code=error_code)))

    def fail(self, error: StokerError) -> None:
        """Refuses the request: its consumer gets the error instead of an ending."""
        if not self.finished:
            self.finished = True
            self._error = error
            self._arrived.set()

    async def next(self) -> TokenDelta:
        """The next delta, merged from all that arrived. Raises the error of a refused request."""
        await self._arrived.wait()
        self._arrived.clear()
        if self._pending is not None:
            delta, self._pending = self._pending, None
            return delta
        if self._error is not None:
            raise self._error
        return await self.next()

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
