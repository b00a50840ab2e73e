from __future__ import annotations

from prometheus_client import CollectorRegistry, generate_latest

from stoker.config.fleet_schema import QueueSection
from stoker.core.clock import ManualClock
from stoker.gateway.capacity import Capacity
from stoker.gateway.entry import Entry
from stoker.gateway.queue_metrics import QueueCollector
from stoker.gateway.tenant import Band
from stoker.gateway.turnstile import Turnstile
from stoker.gateway.usage import Usage


async def test_who_waits_is_counted_by_model_and_band() -> None:
    clock = ManualClock()
    turnstile = Turnstile(QueueSection(), lambda: Capacity(1), clock=clock)
    registry = CollectorRegistry()
    registry.register(QueueCollector({"m": turnstile.report}))

    def entry(name: str, band: Band) -> Entry:
        expected = Usage(input_tokens=10, output_tokens=10)
        return Entry(request_id=name, band=band, expected=expected, arrival=0.0)

    async with turnstile.turn(entry("a", Band.STANDARD)):
        waiting = turnstile.turn(entry("b", Band.BATCH))
        turnstile.join(waiting)
        clock.advance(2.0)
        text = generate_latest(registry).decode()
        turnstile.leave(waiting)
    for line in (
        'stoker_queue_waiting{model_name="m"} 1.0',
        'stoker_queue_in_flight{model_name="m"} 1.0',
        'stoker_queue_oldest_wait_seconds{model_name="m"} 2.0',
        'stoker_queue_waiting_by_band{band="batch",model_name="m"} 1.0',
        'stoker_queue_refused_total{model_name="m",reason="late"} 0.0',
    ):
        assert f"\n{line}\n" in text
