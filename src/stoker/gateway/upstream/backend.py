"""One foreign server, with everything that is known of it while the gateway runs."""

from __future__ import annotations

from stoker.config.fleet_schema import BackendEntry
from stoker.errors import NoCapacity, Overloaded
from stoker.gateway.upstream.breaker import Passage
from stoker.gateway.upstream.dialects.choice import DIALECTS
from stoker.gateway.upstream.standing import Standing
from stoker.gateway.upstream.transport import Transport


class ForeignBackend:
    def __init__(self, entry: BackendEntry, transport: Transport) -> None:
        self.entry = entry
        self.dialect = DIALECTS[entry.dialect]
        self.transport = transport
        self.standing = Standing()
        self._open = 0
        self._expecting = 0
        self._retired = False

    @property
    def name(self) -> str:
        return self.entry.name

    def enter(self, now: float) -> Passage:
        """Each is left once. Raises NoCapacity while the breaker is open, Overloaded when all
        connections are in use."""
        if self._open >= self.entry.max_connections:
            raise Overloaded(f"all connections to the backend '{self.name}' are in use")
        passage = self.standing.breaker.enter(now)
        if passage is None:
            raise NoCapacity(
                f"the backend '{self.name}' fails",
                retry_after=self.standing.breaker.retry_after(now),
            )
        self._open += 1
        return passage

    @property
    def in_use(self) -> bool:
        return self._open > 0 or self._expecting > 0

    async def leave(self) -> None:
        self._open -= 1
        await self.close_if_unused()

    @property
    def expected_at(self) -> bool:
        """Whether requests that were routed here may still come."""
        return self._expecting > 0

    def expect(self) -> None:
        """A request may come, until it says that it will not."""
        self._expecting += 1

    async def expect_no_longer(self) -> None:
        self._expecting -= 1
        await self.close_if_unused()

    def retire(self) -> None:
        """No new request is expected; those that are under way end as they would."""
        self._retired = True

    async def close_if_unused(self) -> None:
        if self._retired and not self.in_use:
            await self.transport.close()
