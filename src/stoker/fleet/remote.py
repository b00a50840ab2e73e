"""A replica on another machine, as a backend: its tokens come as frames over HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections.abc import AsyncGenerator, Callable

import aiohttp
import msgspec

from stoker import errors
from stoker.core.adapter import BASE
from stoker.core.clock import Clock
from stoker.core.ids import RequestId
from stoker.core.output import Finish, FinishReason, TokenDelta
from stoker.core.request import Request
from stoker.engine.interface import EngineInfo, EngineLoad, EngineState
from stoker.fleet.remote_answers import Answered, RemoteAnswers
from stoker.fleet.remote_stream import LOST, LOST_COMPUTING, RemoteStream, refusal, whole
from stoker.fleet.replica_protocol import (
    MINE,
    REPORT_PATH,
    TICKET_HEADER,
    VERSION_HEADER,
    ReplicaReport,
    check_version,
)
from stoker.fleet.ticket import Ticket, sign

log = logging.getLogger(__name__)

ASK_SECONDS = 1.0
"""Between two questions how the replica is."""
PATIENCE_SECONDS = 3.0
"""For an answer to that, and for a connection."""
FAILURES = 2
"""So many questions in a row without an answer, and its streams are carried on elsewhere."""
TICKET_SECONDS = 120.0


class RemoteBackend:
    """Implements Backend. It asks the replica how it is until it is closed; `changed` is called
    when the answer differs."""

    def __init__(
        self,
        url: str,
        model: str,
        key: bytes,
        session: aiohttp.ClientSession,
        clock: Clock,
        changed: Callable[[], None],
    ) -> None:
        self.state = EngineState.LOADING
        self.load = EngineLoad()
        self.num_restarts = 0
        self.seen = asyncio.Event()
        """Set once the replica took requests."""
        self._url = url
        self._model = model
        self._key = key
        self._session = session
        self._clock = clock
        self._changed = changed
        self._info: EngineInfo | None = None
        self._final: EngineState | None = None
        self._complaint = ""
        self._failures = 0
        self._streams: dict[RequestId, RemoteStream] = {}
        self._idle = asyncio.Event()
        self._idle.set()
        self._answers = RemoteAnswers(url, model, key, session, clock)
        self._watching = asyncio.create_task(self._watch(), name=f"replica {url}")

    @property
    def info(self) -> EngineInfo:
        if self._info is None:
            raise errors.Loading("the model is loading", retry_after=1.0)
        return self._info

    @property
    def answers(self) -> bool:
        """Whether it lately said how it is; if not, its streams were carried on elsewhere."""
        return self._failures < FAILURES

    async def submit(self, request: Request) -> AsyncGenerator[TokenDelta, None]:
        if self.state is not EngineState.READY:
            raise errors.NoCapacity("this replica is not ready")
        ticket = self._ticket(
            request.request_id, request.tenant, request.sampling.max_tokens, request.adapter
        )
        stream = RemoteStream(self._session, self._url, request, self._headers(ticket))
        self._idle.clear()
        self._streams[request.request_id] = stream
        try:
            async with contextlib.aclosing(stream.deltas()) as deltas:
                async for delta in deltas:
                    if delta.finish in (LOST, LOST_COMPUTING):
                        self._become(EngineState.RESTARTING)  # until it answers again
                    yield delta
        finally:
            self._streams.pop(request.request_id, None)
            if not self._streams:
                self._idle.set()

    @property
    def address(self) -> str:
        return self._answers.address

    def hand_over(self, request: Request, body: str) -> Answered:
        return self._answers.hand_over(request, body)

    def cancel(self, request_id: RequestId) -> None:
        stream = self._streams.get(request_id)
        if stream is not None:
            stream.end(Finish(FinishReason.CANCELLED))

    async def drain(self, grace: float) -> None:
        self._end(EngineState.DRAINING)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace):
                await self._idle.wait()
                await self._answers.idle()
        for stream in self._streams.values():
            stream.end(Finish(FinishReason.ERROR, error_code=errors.Draining.code))

    async def close(self) -> None:
        """Leaves the replica as it is: it is not ours to end."""
        self._end(EngineState.STOPPED)
        for stream in self._streams.values():
            stream.end(LOST)
        self._watching.cancel()
        await asyncio.gather(self._watching, return_exceptions=True)
        await self._answers.close()

    def _ticket(self, request_id: str, tenant: str, max_tokens: int, adapter: str = BASE) -> Ticket:
        """A new one each time: a ticket is good once."""
        return Ticket(
            request_id=f"{request_id}/{secrets.token_hex(8)}",
            tenant=tenant,
            model=self._model,
            max_tokens=max_tokens,
            adapter=adapter,
            expires=self._clock.wall() + TICKET_SECONDS,
        )

    def _headers(self, ticket: Ticket) -> dict[str, str]:
        return {TICKET_HEADER: sign(ticket, self._key), VERSION_HEADER: MINE}

    # --- how it is --------------------------------------------------------------------------

    async def _watch(self) -> None:
        while self._final is None:
            try:
                async with asyncio.timeout(PATIENCE_SECONDS):
                    report = await self._ask()
            except (aiohttp.ClientError, OSError, TimeoutError) as error:
                self._unreachable(type(error).__name__)
            except errors.StokerError as error:
                self._unreachable(error.message)
            else:
                self._reported(report)
            await asyncio.sleep(ASK_SECONDS)

    async def _ask(self) -> ReplicaReport:
        ticket = self._ticket("report", "", 0)
        async with self._session.get(
            self._url + REPORT_PATH, headers=self._headers(ticket), allow_redirects=False
        ) as response:
            if response.status != 200:
                raise await refusal(response)
            check_version(response.headers.get(VERSION_HEADER), "the replica")
            body = await whole(response)
        try:
            return msgspec.json.decode(body, type=ReplicaReport)
        except msgspec.DecodeError:
            raise errors.ProtocolError("the replica does not answer as one") from None

    def _reported(self, report: ReplicaReport) -> None:
        self.load, self.num_restarts = report.load, report.restarts
        self._answers.run = report.run
        self._info = report.info or self._info
        try:
            state = EngineState(report.state)
        except ValueError:
            state = EngineState.RESTARTING
        if state is EngineState.STOPPED or (report.info is None and state is EngineState.READY):
            state = EngineState.RESTARTING
        self._complaint, self._failures = "", 0
        self._become(state)

    def _unreachable(self, reason: str) -> None:
        if reason != self._complaint:
            log.warning("the replica at %s cannot be used: %s", self._url, reason)
            self._complaint = reason
        self._failures += 1
        if self._failures >= FAILURES and self._info is not None:  # else it may still be starting
            self._become(EngineState.RESTARTING)
            for stream in self._streams.values():
                stream.end(LOST)

    def _become(self, state: EngineState) -> None:
        if self._final is None and state is not self.state:
            self.state = state
            if state is EngineState.READY:
                self.seen.set()
            self._changed()

    def _end(self, state: EngineState) -> None:
        if self._final is not EngineState.STOPPED:
            self._final = self.state = state
            self._changed()
