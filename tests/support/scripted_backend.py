"""A server whose model writes what a test says, token by token."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager

from stoker.core.output import Finish, FinishReason, TokenDelta, TokenLogprobs
from stoker.core.request import Request
from stoker.engine.interface import Backend
from stoker.text.load import TextModel
from tests.support.local_backend import LocalBackend
from tests.support.server import RunningServer


class ScriptedBackend(LocalBackend):
    def __init__(self, text: TextModel) -> None:
        super().__init__(text.tokenizer.vocab_size)
        self._tokenizer = text.tokenizer
        self.answers: list[str] = []
        """Of the choices of the next request, in order."""
        self.per_delta = 1

    async def submit(self, request: Request) -> AsyncIterator[TokenDelta]:
        self.submitted.append(request)
        answer = self.answers[int(request.request_id.rpartition("-")[2])]
        ids = self._tokenizer.encode_template(answer, "\0")
        length = request.sampling.max_tokens
        shown = ids[:length]
        for start in range(0, len(shown), self.per_delta):
            yield self._delta(request, shown[start : start + self.per_delta])
        reason = FinishReason.STOP if shown == ids else FinishReason.LENGTH
        yield TokenDelta(request.request_id, finish=Finish(reason))

    def _delta(self, request: Request, ids: Sequence[int]) -> TokenDelta:
        if request.sampling.logprobs is None:
            return TokenDelta(request.request_id, tuple(ids))
        logprobs = tuple(TokenLogprobs(token, -0.5, 1) for token in ids)
        return TokenDelta(request.request_id, tuple(ids), logprobs)


@contextmanager
def scripted_server(text: TextModel) -> Iterator[RunningServer]:
    async def backend() -> Backend:
        return ScriptedBackend(text)

    running = RunningServer(backend, text)
    running.start()
    try:
        yield running
    finally:
        running.stop()
