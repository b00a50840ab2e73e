"""One try at one backend: begun, read to its end, and judged."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, suppress

from stoker.core.clock import Clock
from stoker.errors import BackendFailed, StokerError
from stoker.gateway.upstream.backend import ForeignBackend
from stoker.gateway.upstream.breaker import Outcome, Passage
from stoker.gateway.upstream.cleaned_text import complaint
from stoker.gateway.upstream.dialects.interface import AnswerReader, Letter
from stoker.gateway.upstream.question import Question
from stoker.gateway.upstream.refusals import outcome_of, refusal_of
from stoker.gateway.upstream.server_events import ServerEvents
from stoker.gateway.upstream.tally import Tally
from stoker.gateway.upstream.transport import Call, Reply

LONGEST_ANSWER = 64 * 1024 * 1024
LONGEST_REFUSAL = 16 * 1024
LAST_PIECE_SECONDS = 0.05
"""For the end of a body after the end of the answer in it."""
WORTH_AGAIN = frozenset({500, 502, 503, 504})


class Attempt:
    """`outcome` says what it showed of the backend, `again` whether the same may work at once, and
    `wait` for how many seconds the backend wants to be left alone."""

    def __init__(
        self, backend: ForeignBackend, letter: Letter, question: Question, tally: Tally
    ) -> None:
        self.outcome = Outcome.UNKNOWN
        self.again = False
        self.wait = 0.0
        self._backend = backend
        self._letter = letter
        self._question = question
        self._tally = tally
        self._reader = backend.dialect.reader(question)

    @asynccontextmanager
    async def answer(self, clock: Clock) -> AsyncIterator[AsyncIterator[bytes]]:
        """Entered once the first piece is there. The pieces are whole events, or one JSON object.
        Raises StokerError, now or while they are read."""
        passage: Passage | None = self._backend.enter(clock.monotonic())
        try:
            async with AsyncExitStack() as stack:
                pieces = self._pieces(await self._reply(stack))
                stack.push_async_callback(pieces.aclose)
                first = await anext(pieces, None)
                if first is None:
                    raise self._failed(ConnectionError("an empty answer"))
                if passage is not None and passage.probe:  # others need not wait for its end
                    self._backend.standing.end(passage, Outcome.ANSWERED, clock.monotonic())
                    passage = None
                yield _beginning_with(first, pieces)
        finally:
            if passage is not None:
                self._backend.standing.end(passage, self.outcome, clock.monotonic())
            await self._backend.leave()

    async def _reply(self, stack: AsyncExitStack) -> Reply:
        try:
            return await stack.enter_async_context(self._backend.transport.send(self._call()))
        except (ConnectionError, TimeoutError) as error:
            raise self._failed(error) from None

    def _call(self) -> Call:
        headers = self._backend.dialect.headers(self._backend.entry.api_key)
        path, body = self._letter
        return Call(path=path, headers=headers, body=body)

    async def _pieces(self, reply: Reply) -> AsyncGenerator[bytes, None]:
        """At least one."""
        try:
            if reply.status != 200:
                raise await self._refusal(reply)
            read = self._events if self._question.stream else self._whole
            async with aclosing(read(reply)) as pieces:
                async for piece in pieces:
                    self._tally.wrote(1 + piece.count(b"\n\ndata: "), len(piece))
                    self._tally.report(self._reader.usage)
                    self.outcome = Outcome.ANSWERED
                    yield piece
        except (ConnectionError, TimeoutError) as error:
            raise self._failed(error) from None
        except BackendFailed:
            self.outcome = Outcome.FAILED
            raise
        self._tally.report(self._reader.usage)
        self._tally.ended()

    async def _events(self, reply: Reply) -> AsyncGenerator[bytes, None]:
        self._check_kind(reply, "text/event-stream")
        events, reader, pieces = ServerEvents(), self._reader, reply.pieces()
        async for piece in pieces:
            found, failure = _translated(reader, events, piece)
            if found:
                yield found
            if failure is not None:
                raise failure
            if reader.ended:
                await _drained(pieces)
                return
        if not reader.complete:
            raise BackendFailed("the backend's stream ended before its answer did")

    async def _whole(self, reply: Reply) -> AsyncGenerator[bytes, None]:
        self._check_kind(reply, "application/json")
        yield self._reader.whole(await _read(reply, LONGEST_ANSWER))

    def _check_kind(self, reply: Reply, kind: str) -> None:
        found = reply.headers.get("content-type", "").partition(";")[0].strip().lower()
        if found != kind or reply.headers.get("content-encoding", "identity") != "identity":
            raise BackendFailed(f"the backend's answer is not {kind}")

    async def _refusal(self, reply: Reply) -> StokerError:
        backend = self._backend.entry
        self.outcome = outcome_of(reply.status)
        said = complaint(await _read(reply, LONGEST_REFUSAL))
        error = refusal_of(backend.name, reply.status, reply.headers, said, backend.api_key)
        self.wait = error.retry_after or 0.0
        self.again = reply.status in WORTH_AGAIN and not self.wait
        return error

    def _failed(self, error: Exception) -> BackendFailed:
        """A connection that was lost before anything came may have been an old one of the pool."""
        self.outcome = Outcome.FAILED
        self.again = isinstance(error, ConnectionError)
        return BackendFailed(f"the backend '{self._backend.name}': {type(error).__name__}")


async def _beginning_with(
    first: bytes, rest: AsyncGenerator[bytes, None]
) -> AsyncGenerator[bytes, None]:
    yield first
    async for piece in rest:
        yield piece


def _translated(
    reader: AnswerReader, events: ServerEvents, piece: bytes
) -> tuple[bytes, StokerError | None]:
    """Whatever is good before the first thing that is not, and what that is."""
    found = bytearray()
    try:
        for event in events.feed(piece):
            found += reader.event(event)
    except ValueError:
        return bytes(found), BackendFailed("the backend sent an event without end")
    except StokerError as error:
        return bytes(found), error
    return bytes(found), None


async def _drained(pieces: AsyncIterator[bytes]) -> None:
    """An answer that is read to its end leaves a connection that can be used again."""
    with suppress(TimeoutError, ConnectionError):
        async with asyncio.timeout(LAST_PIECE_SECONDS):
            async for _ in pieces:
                pass


async def _read(reply: Reply, longest: int) -> bytes:
    """Raises BackendFailed for a body that is longer."""
    body = bytearray()
    async for piece in reply.pieces():
        body += piece
        if len(body) > longest:
            raise BackendFailed("the backend's answer is too long")
    return bytes(body)
