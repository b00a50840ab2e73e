"""How requests ended that this replica answered by itself, kept until their fronts know."""

from __future__ import annotations

import asyncio
import secrets
from collections import OrderedDict
from collections.abc import Iterable
from contextlib import suppress

from stoker.fleet.replica_protocol import Outcome

MOST_FRONTS = 64
"""The one that was silent for longest is forgotten: it counts what it does not hear of in full."""
MOST_OUTCOMES = 10_000
"""Of one front; then the oldest is forgotten."""
MOST_AT_ONCE = 200


class _Letter:
    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome
        self.known = asyncio.Event()


class Outbox:
    def __init__(self) -> None:
        self.run = secrets.token_hex(8)
        """Of this process: another one knows nothing of what this one did."""
        self._fronts: OrderedDict[str, OrderedDict[str, _Letter]] = OrderedDict()
        self._news = asyncio.Event()

    def put(self, front: str, outcome: Outcome) -> asyncio.Event:
        """The event is set once the front knows."""
        letter = _Letter(outcome)
        letters = self._of(front)
        letters[outcome.ticket] = letter
        if len(letters) > MOST_OUTCOMES:
            letters.popitem(last=False)
        self._news.set()
        self._news = asyncio.Event()
        return letter.known

    def __contains__(self, address: tuple[str, str]) -> bool:
        """Whether there is an outcome for this front under this ticket."""
        front, ticket = address
        return ticket in self._fronts.get(front, ())

    def known(self, front: str, tickets: Iterable[str]) -> None:
        """The front has taken note of these; unknown ones are ignored."""
        letters = self._of(front)
        for ticket in tickets:
            letter = letters.pop(ticket, None)
            if letter is not None:
                letter.known.set()

    async def waiting(self, front: str, seconds: float) -> list[Outcome]:
        """What the front does not know yet; waits for the first of it, though no longer than so
        many seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not self._of(front):
                    await self._news.wait()
        found = [letter.outcome for letter in self._of(front).values()]
        return found[:MOST_AT_ONCE]

    def _of(self, front: str) -> OrderedDict[str, _Letter]:
        letters = self._fronts.setdefault(front, OrderedDict())
        self._fronts.move_to_end(front)
        if len(self._fronts) > MOST_FRONTS:
            self._fronts.popitem(last=False)
        return letters
