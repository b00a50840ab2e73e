"""What must be known of a stream to carry it on elsewhere, exactly where it stopped.

A token depends only on the model, the tokens before it and (seed, position). So the prompt, the
tokens delivered and the time that is left are all that another engine needs.
"""

from __future__ import annotations

import msgspec

from stoker import errors
from stoker.core.ids import TokenId
from stoker.core.output import Finish, FinishReason, TokenDelta, TokenLogprobs
from stoker.core.request import Request

MAX_FRUITLESS = 3
"""Engines that may die while they compute a request, one after the other, without giving it a
single token."""

SUSPECT = 2
"""So many, and it is computed without other suspects, so that they are not blamed for it."""


class Continuation:
    def __init__(self, request: Request, deadline: float | None) -> None:
        self._request = request
        self._deadline = deadline
        self._received: list[TokenId] = list(request.output_token_ids)
        """Delivered, by us or by whoever had the request before."""
        self._prompt_logprobs = 0
        self._skip_prompt_logprobs = 0
        self._fruitless = 0

    @property
    def begun(self) -> bool:
        """Whether anything was delivered."""
        before = len(self._request.output_token_ids)
        return len(self._received) > before or self._prompt_logprobs > 0

    @property
    def hopeless(self) -> bool:
        """Whether so many engines died computing it that it may be what kills them. Such a request
        is given up, before it uses up the restarts that all others depend on."""
        return self._fruitless >= MAX_FRUITLESS

    @property
    def lost(self) -> Finish:
        """The ending of one that is given up."""
        code = errors.ReplicaLost.code
        return Finish(FinishReason.ERROR, error_code=code, deaths=self._fruitless)

    @property
    def suspect(self) -> bool:
        return self._fruitless >= SUSPECT

    def took(self, delta: TokenDelta) -> TokenDelta:
        """Remembers what is delivered; returns it without what was delivered before."""
        delta = self._without_repeats(delta)
        self._received += delta.token_ids
        self._prompt_logprobs += len(delta.prompt_logprobs)
        if delta.token_ids:
            self._fruitless = 0
        return delta

    def died_computing(self, engines: int = 1) -> None:
        """So many died, each in a step that this request was part of."""
        self._fruitless += engines

    def request(self, now: float) -> Request:
        """As the next engine has to see it: tokens already delivered are part of it, and the time
        already spent is gone."""
        self._skip_prompt_logprobs = 0 if self._received else self._prompt_logprobs
        timeout = None if self._deadline is None else max(self._deadline - now, 0.0)
        return msgspec.structs.replace(
            self._request, output_token_ids=tuple(self._received), timeout=timeout
        )

    def _without_repeats(self, delta: TokenDelta) -> TokenDelta:
        """A prompt that is scored anew after a restart repeats scores that were delivered."""
        skip = min(self._skip_prompt_logprobs, len(delta.prompt_logprobs))
        if not skip:
            return delta
        self._skip_prompt_logprobs -= skip
        rest: tuple[TokenLogprobs, ...] = delta.prompt_logprobs[skip:]
        return msgspec.structs.replace(delta, prompt_logprobs=rest)
