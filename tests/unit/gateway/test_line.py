"""The line before a model as admission uses it: who the tenant is decides, and usage comes back."""

from __future__ import annotations

import asyncio

import pytest

from stoker.config.fleet_schema import QueueSection
from stoker.core.clock import ManualClock
from stoker.errors import Draining, Overloaded
from stoker.gateway.admission import Admission, Demand
from stoker.gateway.capacity import Capacity
from stoker.gateway.ledger import Grant, NoLimits
from stoker.gateway.line import ModelLine
from stoker.gateway.tenant import Band, Principal, Tenant
from stoker.gateway.turnstile import Turnstile
from stoker.gateway.usage import Usage


class Remembering(NoLimits):
    def __init__(self) -> None:
        self.outcomes: dict[str, str] = {}

    async def settle(self, grant: Grant, usage: Usage, outcome: str) -> None:
        assert grant.ask.request_id not in self.outcomes, "settled twice"
        self.outcomes[grant.ask.request_id] = outcome


class Gate:
    def __init__(self, max_seconds: float = 1e6) -> None:
        section, clock = QueueSection(max_seconds=max_seconds), ManualClock()
        self.line = ModelLine(Turnstile(section, lambda: Capacity(1), clock=clock), clock)
        self.ledger = Remembering()
        self.admission = Admission(self.ledger)
        self.order: list[str] = []
        self.go_on = asyncio.Event()

    async def request(self, name: str, tenant: Tenant, tokens: int = 10) -> None:
        demand = Demand(
            request_id=name,
            principal=Principal(tenant=tenant),
            model="m",
            input_tokens=100,
            output_tokens=4096,
            seconds=600.0,
        )
        async with self.admission.admit(demand, self.line) as admitted:
            self.order.append(name)
            await self.go_on.wait()
            admitted.usage = Usage(input_tokens=100, output_tokens=tokens)
            admitted.outcome = "stop"


async def test_bands_decide_and_everything_is_settled_once() -> None:
    gate = Gate()
    batch, live = Tenant(name="b", band=Band.BATCH), Tenant(name="i", band=Band.INTERACTIVE)
    async with asyncio.TaskGroup() as group:
        for index in range(3):
            group.create_task(gate.request(f"batch {index}", batch))
        await asyncio.sleep(0)
        group.create_task(gate.request("live", live))
        await asyncio.sleep(0)
        gate.go_on.set()
    assert gate.order == ["batch 0", "live", "batch 1", "batch 2"]
    assert set(gate.ledger.outcomes.values()) == {"stop"}
    assert gate.line.report().in_flight == gate.line.report().waiting == 0


async def test_a_refused_request_is_settled_with_why() -> None:
    gate = Gate(max_seconds=1.0)
    tenant = Tenant(name="t")
    tasks = [asyncio.create_task(gate.request(f"r{index}", tenant)) for index in range(4)]
    ended = asyncio.gather(*tasks, return_exceptions=True)
    await asyncio.sleep(0)
    gate.go_on.set()
    refused = [error for error in await ended if isinstance(error, Overloaded)]
    assert refused
    assert all(error.retry_after for error in refused)
    assert list(gate.ledger.outcomes.values()).count("overloaded") == len(refused)


async def test_who_leaves_while_waiting_and_who_is_sent_away_are_settled() -> None:
    gate = Gate()
    tenant = Tenant(name="t")
    names = ("runs", "leaves", "waits")
    runs, leaves, waits = [asyncio.create_task(gate.request(name, tenant)) for name in names]
    await asyncio.sleep(0)
    leaves.cancel()
    await asyncio.gather(leaves, return_exceptions=True)
    gate.line.close()
    with pytest.raises(Draining):
        await waits
    gate.go_on.set()
    await runs
    assert gate.ledger.outcomes == {"runs": "stop", "leaves": "cancelled", "waits": "draining"}


async def test_answers_are_expected_to_be_as_long_as_the_last_ones() -> None:
    gate = Gate()
    tenant = Tenant(name="t")
    gate.go_on.set()
    for index in range(100):
        await gate.request(f"r{index}", tenant, tokens=20)
    gate.go_on.clear()
    task = asyncio.create_task(gate.request("last", tenant))
    await asyncio.sleep(0)
    assert gate.line.report().tokens_in_flight == 100 + 20
    gate.go_on.set()
    await task
