"""The instant server as a replica of ours, to which a proxy brings requests that a front signed.

    python -m stoker.bench.gateway.instant_replica KEY_FILE MODEL

It checks tickets and tells fronts what was used as real replicas do; only the tokens are made up.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Coroutine
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import uvloop

from stoker.bench.gateway.fake_backend import CONNECTIONS, FakeBackend, serve
from stoker.bench.gateway.ticker import Tickers
from stoker.config.ticket_key import read_ticket_keys
from stoker.engine.interface import EngineInfo, EngineLoad, EngineState
from stoker.errors import PermissionDenied
from stoker.fleet.outbox import Outbox
from stoker.fleet.replica_protocol import (
    MINE,
    OUTCOMES_PATH,
    REPORT_PATH,
    TICKET_HEADER,
    VERSION_HEADER,
    Outcome,
    Outcomes,
    OutcomesAsked,
    ReplicaReport,
)
from stoker.fleet.ticket import Ticket, TicketBook
from stoker.gateway.ticket_ledger import NOTE_SECONDS

INFO = EngineInfo(
    max_context=1 << 20, vocab_size=1 << 20, block_size=16, num_blocks=1 << 24,
    max_running=CONNECTIONS, weight_bytes=0, kv_bytes=0, kernels="none",
    max_requests=4 * CONNECTIONS,
)  # fmt: skip
PROMPT_TOKENS = 12
"""As the made-up answers say."""


class Desk:
    """What all connections share."""

    def __init__(self, key_file: Path, model: str) -> None:
        self.model = model
        self.outbox = Outbox()
        self._book = TicketBook(read_ticket_keys(key_file))
        self._tasks: set[asyncio.Task[None]] = set()

    def check(self, text: str) -> Ticket:
        """Raises PermissionDenied."""
        return self._book.check(text, self.model, time.time())

    def report(self) -> ReplicaReport:
        return ReplicaReport(
            model=self.model,
            state=EngineState.READY.value,
            load=EngineLoad(),
            info=INFO,
            run=self.outbox.run,
        )

    def begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class InstantReplica(FakeBackend):
    """One connection."""

    def __init__(self, desk: Desk, tickers: Tickers) -> None:
        super().__init__(tickers)
        self._desk = desk
        self._path = b""
        self._signed = ""
        self._ticket = _NONE

    def on_url(self, url: bytes) -> None:
        self._path, self._signed = url, ""

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == _TICKET:
            self._signed = value.decode("latin-1")

    def _answer(self, body: bytes) -> None:
        try:
            self._ticket = self._desk.check(self._signed)
        except PermissionDenied:
            self._transport.write(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n")
            return
        if self._path == REPORT_PATH.encode():
            self._transport.write(_json(self._desk.report()))
        elif self._path == OUTCOMES_PATH.encode():
            self._desk.begin(self._outcomes(msgspec.json.decode(body, type=OutcomesAsked)))
        else:
            super()._answer(body)

    async def _outcomes(self, question: OutcomesAsked) -> None:
        outbox = self._desk.outbox
        outbox.known(question.front, question.done)
        found = await outbox.waiting(question.front, question.seconds)
        self._transport.write(_json(Outcomes(run=outbox.run, outcomes=found, unused=[])))

    def _end(self, before: bytes, last: bytes, tokens: int) -> None:
        self._transport.write(before)
        outcome = Outcome(
            ticket=self._ticket.request_id,
            input_tokens=PROMPT_TOKENS,
            output_tokens=tokens,
            ending="stop",
        )
        noted = self._desk.outbox.put(self._ticket.front, outcome)
        self._desk.begin(self._last(last, noted))

    async def _last(self, data: bytes, noted: asyncio.Event) -> None:
        """As a real replica's, the last bytes wait for the front."""
        with suppress(TimeoutError):
            await asyncio.wait_for(noted.wait(), NOTE_SECONDS)
        self._transport.write(data)


_TICKET = TICKET_HEADER.encode()
_NONE = Ticket(request_id="", tenant="", model="", max_tokens=0, expires=0.0)


def _json(value: msgspec.Struct) -> bytes:
    body = msgspec.json.encode(value)
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n%b: %b\r\ncontent-length: %d\r\n"
    return head % (VERSION_HEADER.encode(), MINE.encode(), len(body)) + b"\r\n" + body


if __name__ == "__main__":
    uvloop.run(serve(partial(InstantReplica, Desk(Path(sys.argv[1]), sys.argv[2]))))
