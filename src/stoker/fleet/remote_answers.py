"""The requests of clients that one remote replica answers by itself, with a ticket for each."""

from __future__ import annotations

import asyncio
import secrets
from urllib.parse import urlsplit

import aiohttp
import msgspec

from stoker.core.clock import Clock
from stoker.core.request import Request
from stoker.errors import ProtocolError, ReplicaLost
from stoker.fleet.outcome_watch import ASK_SECONDS, Expected, OutcomeWatch
from stoker.fleet.remote_stream import refusal, whole
from stoker.fleet.replica_protocol import (
    MINE,
    OUTCOMES_PATH,
    REPLICA_HEADER,
    TICKET_HEADER,
    VERSION_HEADER,
    Outcome,
    Outcomes,
    OutcomesAsked,
)
from stoker.fleet.ticket import Ticket, sign

TICKET_SECONDS = 20.0
"""For the proxy to bring the request to the replica."""
QUESTION_SECONDS = 60.0
"""A ticket for questions is good so long."""
MARGIN_SECONDS = 10.0
"""After its time a request has certainly ended, and its outcome been told if it ever is."""
PATIENCE_SECONDS = 3.0
"""For an answer, beyond what the replica may keep the question."""


class Answered:
    """Implements HandedOver."""

    def __init__(
        self, headers: dict[str, str], expected: Expected, watch: OutcomeWatch, seconds: float
    ) -> None:
        self.headers = headers
        self._expected = expected
        self._watch = watch
        self._seconds = seconds

    async def outcome(self) -> Outcome | None:
        try:
            return await asyncio.wait_for(self._expected.outcome, self._seconds + MARGIN_SECONDS)
        except TimeoutError:
            return None

    def give_up(self) -> None:
        self._expected.tell(None)

    def came_back(self) -> None:
        self._expected.tell(Outcome(ticket=self._expected.ticket, ending=ReplicaLost.code))

    def note(self) -> None:
        self._watch.note(self._expected)


class RemoteAnswers:
    def __init__(
        self, url: str, model: str, key: bytes, session: aiohttp.ClientSession, clock: Clock
    ) -> None:
        self.address = proxy_address(url)
        self.run = ""
        """Of the replica's process, as it last said."""
        self._url = url
        self._model = model
        self._key = key
        self._session = session
        self._clock = clock
        self._watch = OutcomeWatch(self._ask, clock)
        self._question_ticket = ""
        self._renew = 0.0

    def hand_over(self, request: Request, body: str) -> Answered:
        seconds = request.timeout or 0.0
        ticket = Ticket(
            request_id=f"{request.request_id}/{secrets.token_hex(8)}",
            tenant=request.tenant,
            model=self._model,
            max_tokens=request.sampling.max_tokens,
            adapter=request.adapter,
            priority=request.priority,
            expires=self._clock.wall() + TICKET_SECONDS,
            body=body,
            seconds=seconds,
            front=self._watch.front,
        )
        headers = self._headers(sign(ticket, self._key)) | {REPLICA_HEADER: self.address}
        expected = self._watch.expect(ticket.request_id, ticket.expires, self.run)
        return Answered(headers, expected, self._watch, seconds)

    async def idle(self) -> None:
        """Returns when none is at the replica."""
        await self._watch.idle()

    async def close(self) -> None:
        await self._watch.close()

    async def _ask(self, question: OutcomesAsked) -> Outcomes:
        async with (
            asyncio.timeout(ASK_SECONDS + PATIENCE_SECONDS),
            self._session.post(
                self._url + OUTCOMES_PATH,
                data=msgspec.json.encode(question),
                headers=self._headers(self._ticket()) | {"content-type": "application/json"},
                allow_redirects=False,
            ) as response,
        ):
            if response.status != 200:
                raise await refusal(response)
            body = await whole(response)
        try:
            return msgspec.json.decode(body, type=Outcomes)
        except msgspec.DecodeError:
            raise ProtocolError("the replica does not answer as one") from None

    def _ticket(self) -> str:
        """One for many questions."""
        now = self._clock.wall()
        if now >= self._renew:
            self._renew = now + QUESTION_SECONDS / 2
            ticket = Ticket(
                request_id=f"outcomes/{secrets.token_hex(8)}",
                tenant="",
                model=self._model,
                max_tokens=0,
                expires=now + QUESTION_SECONDS,
                front=self._watch.front,
            )
            self._question_ticket = sign(ticket, self._key)
        return self._question_ticket

    def _headers(self, ticket: str) -> dict[str, str]:
        return {TICKET_HEADER: ticket, VERSION_HEADER: MINE}


def proxy_address(url: str) -> str:
    """HOST:PORT, when that is all there is to the URL; else empty."""
    parts = urlsplit(url)
    if parts.scheme != "http" or parts.path.rstrip("/"):
        return ""
    host = parts.hostname or ""
    return f"{f'[{host}]' if ':' in host else host}:{parts.port or 80}"
