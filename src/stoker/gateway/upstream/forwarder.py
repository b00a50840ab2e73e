"""Sends a question to a foreign backend, once more where that is worth it, and brings the answer.

Which backend comes next when one fails is the route's to say (api/dispatch.py): here is one.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from stoker.config.fleet_schema import BackendEntry
from stoker.core.clock import Clock, SystemClock
from stoker.errors import NoCapacity, RequestError, StokerError
from stoker.gateway.routes import ForeignTarget, Target
from stoker.gateway.upstream.attempt import Attempt
from stoker.gateway.upstream.backend import ForeignBackend
from stoker.gateway.upstream.breaker import Outcome
from stoker.gateway.upstream.health import HealthProbes
from stoker.gateway.upstream.outliers import Outliers
from stoker.gateway.upstream.question import Question
from stoker.gateway.upstream.retry_budget import RetryBudget
from stoker.gateway.upstream.tally import Tally
from stoker.gateway.upstream.transport import Transport
from stoker.gateway.upstream.transport_choice import make_transport
from stoker.gateway.usage import Price

log = logging.getLogger(__name__)

MOST_ATTEMPTS = 2
MOST_PAUSE = 0.2
"""Seconds before the second; drawn, so that requests that failed together do not return so."""


class Forwarder:
    def __init__(
        self,
        entries: Sequence[BackendEntry] = (),
        clock: Clock | None = None,
        make: Callable[[BackendEntry], Transport] = make_transport,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """Nothing is opened. Raises ConfigError."""
        self._clock = clock or SystemClock()
        self._make_transport = make
        self._chance = chance
        self._budget = RetryBudget()
        self._backends: dict[str, ForeignBackend] = {}
        self._retired: list[ForeignBackend] = []
        self._probes = HealthProbes(self._clock)
        self._take(entries)

    def configure(self, entries: Sequence[BackendEntry]) -> None:
        """Backends that are as they were keep what is known of them; the others end what they
        have, and `close_unused` is to follow. Raises ConfigError, and then nothing has changed."""
        before = self._backends
        self._take(entries)
        for name, backend in before.items():
            if self._backends.get(name) is not backend:
                self._retired.append(backend)
                backend.retire()

    async def close_unused(self) -> None:
        """Of those that are not configured any more. The others follow by themselves."""
        unused = [backend for backend in self._retired if not backend.in_use]
        self._retired = [backend for backend in self._retired if backend.in_use]
        await asyncio.gather(*(backend.close_if_unused() for backend in unused))

    async def close(self) -> None:
        """Answers under way are broken off. Safe to call twice."""
        await self._probes.close()
        every = [*self._backends.values(), *self._retired]
        await asyncio.gather(*(backend.transport.close() for backend in every))

    def price(self, target: ForeignTarget) -> Price:
        backend = self._find(target.backend)
        price = backend.entry.prices.get(target.model) if backend is not None else None
        if price is None:
            return Price()
        return Price.per_million(price.input, price.cached_input, price.output)

    @asynccontextmanager
    async def routed(self, targets: Sequence[Target]) -> AsyncIterator[Sequence[Target]]:
        """The same targets; backends that are not doing well give way to those behind them. Until
        it is left, each of them can be asked, whatever is configured meanwhile."""
        names = {target.backend for target in targets if isinstance(target, ForeignTarget)}
        expecting = [self._backends[name] for name in names & self._backends.keys()]
        for backend in expecting:
            backend.expect()
        try:
            yield self._order(targets)
        finally:
            for backend in expecting:
                await backend.expect_no_longer()

    @asynccontextmanager
    async def forward(
        self, target: ForeignTarget, question: Question, tally: Tally
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """Entered once the first piece of an answer is there: whole events without the end marker,
        or one JSON object. Left, the backend is told to stop. `tally` says what was used, at any
        time. Raises RequestError, CapacityError or BackendFailed, now or between pieces; the end of
        the pieces is the end of a whole answer."""
        backend = self._find(target.backend)
        if backend is None or (target.private and not backend.entry.private):
            raise NoCapacity("that backend is not what it was when this request was routed")
        self._budget.request(self._clock.monotonic())
        async with AsyncExitStack() as stack:
            yield await self._begun(stack, backend, target.model, question, tally)

    async def _begun(
        self,
        stack: AsyncExitStack,
        backend: ForeignBackend,
        model: str,
        question: Question,
        tally: Tally,
    ) -> AsyncIterator[bytes]:
        letter = backend.dialect.letter(question, model)
        for number in range(1, MOST_ATTEMPTS + 1):
            attempt = Attempt(backend, letter, question, tally)
            try:
                pieces = await stack.enter_async_context(attempt.answer(self._clock))
            except StokerError as error:
                self._judge(backend, attempt)
                _report(backend.name, error)
                if not attempt.again or number == MOST_ATTEMPTS or not self._may_try_again():
                    raise
            else:
                stack.callback(self._judge, backend, attempt)
                return pieces
            await asyncio.sleep(self._chance() * MOST_PAUSE)
        raise NoCapacity("no attempt was made")

    def _may_try_again(self) -> bool:
        return self._budget.take(self._clock.monotonic())

    def _judge(self, backend: ForeignBackend, attempt: Attempt) -> None:
        if attempt.wait:
            backend.standing.leave_alone(self._clock.monotonic(), attempt.wait)
        if attempt.outcome is Outcome.UNKNOWN or self._backends.get(backend.name) is not backend:
            return
        now, failed = self._clock.monotonic(), attempt.outcome is Outcome.FAILED
        seconds = self._outliers.ended(backend.name, now, failed=failed)
        if seconds:
            log.warning("backend '%s' fails much more than others", backend.name)
            backend.standing.eject(now, seconds)

    def _find(self, name: str) -> ForeignBackend | None:
        """One that is not configured any more only while somebody was routed to it before."""
        leaving = (one for one in reversed(self._retired) if one.name == name and one.expected_at)
        return self._backends.get(name) or next(leaving, None)

    def _order(self, targets: Sequence[Target]) -> Sequence[Target]:
        now = self._clock.monotonic()
        self._probes.watch(self._backends.values())
        return sorted(targets, key=lambda target: self._gives_way(target, now))

    def _gives_way(self, target: Target, now: float) -> bool:
        backend = self._backends.get(target.backend) if isinstance(target, ForeignTarget) else None
        if backend is None:
            return False
        weight = backend.standing.weight(now)
        return weight < 1.0 and self._chance() >= weight

    def _take(self, entries: Sequence[BackendEntry]) -> None:
        made = {entry.name: self._backend(entry) for entry in entries}
        self._backends = made
        self._outliers = Outliers(made)

    def _backend(self, entry: BackendEntry) -> ForeignBackend:
        known = self._backends.get(entry.name)
        if known is not None and known.entry == entry:
            return known
        return ForeignBackend(entry, self._make_transport(entry))


def _report(name: str, error: StokerError) -> None:
    """What a server says about a request may repeat it, so that is not logged."""
    if not isinstance(error, RequestError):
        log.warning("backend '%s': %s", name, error.message)
