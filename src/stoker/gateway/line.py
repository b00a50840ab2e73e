"""The line before one model of ours: a turnstile that is told of requests as the gateway knows
them."""

from __future__ import annotations

from types import TracebackType

from stoker.core.clock import Clock
from stoker.gateway.admission import Demand, Turn
from stoker.gateway.entry import Entry
from stoker.gateway.queue_report import QueueReport
from stoker.gateway.turnstile import Turnstile
from stoker.gateway.usage import Usage
from stoker.gateway.waiting_room import QueueBounds


class ModelLine:
    """Implements Line."""

    def __init__(self, turnstile: Turnstile, clock: Clock) -> None:
        self._turnstile = turnstile
        self._clock = clock

    def configure(self, bounds: QueueBounds) -> None:
        """Holds for whoever comes from now on."""
        self._turnstile.configure(bounds)

    def close(self) -> None:
        self._turnstile.close()

    def report(self) -> QueueReport:
        return self._turnstile.report()

    def turn(self, demand: Demand) -> Turn:
        now, tenant = self._clock.monotonic(), demand.principal.tenant
        output = self._turnstile.expected_output(tenant.name, demand.output_tokens)
        expected = Usage(input_tokens=demand.input_tokens, output_tokens=output)
        return self._turnstile.turn(
            Entry(
                request_id=demand.request_id,
                tenant=tenant.name,
                weight=tenant.weight,
                band=tenant.band,
                expected=expected,
                sequences=demand.sequences,
                arrival=now,
                deadline=now + demand.seconds,
            )
        )


class NoLine:
    """Where nobody waits: other servers have lines of their own."""

    def close(self) -> None:
        return None

    def turn(self, demand: Demand) -> Turn:
        return _NoTurn()


class _NoTurn:
    usage: Usage | None = None

    async def __aenter__(self) -> Turn:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        return None
