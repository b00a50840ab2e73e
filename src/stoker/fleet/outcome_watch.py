"""Learns from one replica how the requests ended that it answers by itself."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Iterable

import aiohttp

from stoker.core.clock import Clock
from stoker.errors import StokerError
from stoker.fleet.replica_protocol import Outcome, Outcomes, OutcomesAsked
from stoker.fleet.ticket import LEEWAY_SECONDS

log = logging.getLogger(__name__)

ASK_SECONDS = 5.0
"""The replica keeps the question so long while there is nothing to tell."""
PAUSE_SECONDS = 0.2
"""Before a replica that did not answer is asked again."""
SILENCE_SECONDS = 30.0
"""So long a replica may be silent; what it was to tell is then given up, and counted in
full, so that a tenant does not wait for its limits longer than this."""
NOTE_SECONDS = 1.0
"""For what is known to be counted, before others are asked for."""
NEVER_BEGAN = "never_began"
"""The ending of a request whose ticket was not used."""

Ask = Callable[[OutcomesAsked], Awaitable[Outcomes]]


class Expected:
    """The outcome of one request at the replica."""

    def __init__(self, ticket: str, expires: float, run: str) -> None:
        self.ticket = ticket
        self.expires = expires
        self.run = run
        self.outcome: asyncio.Future[Outcome | None] = asyncio.get_running_loop().create_future()
        """None: nobody will ever tell."""
        self.noted = asyncio.Event()

    def tell(self, outcome: Outcome | None) -> None:
        """Only the first call counts."""
        if not self.outcome.done():
            self.outcome.set_result(outcome)


class OutcomeWatch:
    """Asks only while there is something to hear. An outcome is told once, however often the
    replica says it, which it does until it hears that the outcome is noted."""

    def __init__(self, ask: Ask, clock: Clock) -> None:
        self._ask = ask
        self._clock = clock
        self.front = secrets.token_hex(8)
        """What the replica calls whoever asks here."""
        self._expected: dict[str, Expected] = {}
        self._done: set[str] = set()
        """Noted, which the replica has not been told yet."""
        self._idle = asyncio.Event()
        self._idle.set()
        self._asking: asyncio.Task[None] | None = None
        self._heard_at = 0.0
        """On the monotonic clock; since when it is silent, if it is."""
        self._wait = ASK_SECONDS
        """After a silence there may be another process, which has nothing to tell but that."""

    def expect(self, ticket: str, expires: float, run: str) -> Expected:
        """`expires`: when the ticket does, in Unix seconds; `run` is the replica's."""
        expected = self._expected[ticket] = Expected(ticket, expires, run)
        self._idle.clear()
        if self._asking is None:
            self._heard_at = self._clock.monotonic()
            self._asking = asyncio.create_task(self._keep_asking(), name="outcomes")
        return expected

    def note(self, expected: Expected) -> None:
        """Its outcome is counted, or nobody wants it any more."""
        self._done.add(expected.ticket)
        expected.noted.set()
        self._expected.pop(expected.ticket, None)
        if not self._expected:
            self._idle.set()

    async def idle(self) -> None:
        """Returns when nothing is expected."""
        await self._idle.wait()

    async def close(self) -> None:
        """What is still expected will never be told."""
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.gather(self._asking, return_exceptions=True)
        for expected in list(self._expected.values()):
            expected.tell(None)

    async def _keep_asking(self) -> None:
        try:
            while self._expected or self._done:
                await self._ask_once()
        finally:
            self._asking = None

    async def _ask_once(self) -> None:
        done = list(self._done)
        try:
            answer = await self._ask(self._question(done))
        except (aiohttp.ClientError, OSError, TimeoutError, StokerError) as error:
            log.debug("a replica does not say how requests ended: %s", type(error).__name__)
            await self._unheard()
            return
        self._heard_at, self._wait = self._clock.monotonic(), ASK_SECONDS
        self._done.difference_update(done)
        await self._heard(answer)

    async def _unheard(self) -> None:
        self._wait = 0.0
        if not self._expected:
            self._done.clear()  # it will forget them by itself
        elif self._clock.monotonic() - self._heard_at >= SILENCE_SECONDS:
            for expected in list(self._expected.values()):
                expected.tell(None)
        await asyncio.sleep(PAUSE_SECONDS)

    def _question(self, done: list[str]) -> OutcomesAsked:
        sure = self._clock.wall() - 2 * LEEWAY_SECONDS
        return OutcomesAsked(
            front=self.front,
            done=done,
            late=[one.ticket for one in self._expected.values() if one.expires < sure],
            seconds=self._wait if self._expected else 0.0,
        )

    async def _heard(self, answer: Outcomes) -> None:
        for ticket in answer.unused:
            if (late := self._expected.get(ticket)) is not None and late.run == answer.run:
                late.tell(Outcome(ticket=ticket, ending=NEVER_BEGAN))
        for expected in list(self._expected.values()):
            if expected.run != answer.run:
                expected.tell(None)
        told = [self._tell(outcome) for outcome in answer.outcomes]
        await self._noted(one for one in told if one is not None)

    def _tell(self, outcome: Outcome) -> Expected | None:
        expected = self._expected.get(outcome.ticket)
        if expected is None:
            self._done.add(outcome.ticket)
        else:
            expected.tell(outcome)
        return expected

    async def _noted(self, told: Iterable[Expected]) -> None:
        waits = [asyncio.create_task(one.noted.wait()) for one in told]
        if waits:
            _, late = await asyncio.wait(waits, timeout=NOTE_SECONDS)
            for wait in late:
                wait.cancel()
