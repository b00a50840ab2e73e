"""The turnstile against a plain model: joins, turns, cancels, deadlines, capacity up and down."""

from __future__ import annotations

import asyncio

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from stoker.config.fleet_schema import QueueSection
from stoker.core.clock import ManualClock
from stoker.errors import DeadlineExceeded, Draining, Overloaded
from stoker.gateway.capacity import Capacity
from stoker.gateway.entry import Entry
from stoker.gateway.tenant import Band
from stoker.gateway.turnstile import Turnstile
from stoker.gateway.usage import Usage


class Client:
    def __init__(self, entry: Entry) -> None:
        self.entry = entry
        self.inside = False
        self.leave = asyncio.Event()


class Machine(RuleBasedStateMachine):
    @initialize(turns=st.integers(0, 4), tokens=st.sampled_from([50, 10_000]))
    def begin(self, turns: int, tokens: int) -> None:
        self.loop = asyncio.new_event_loop()
        self.clock = ManualClock()
        self.capacity = Capacity(turns, tokens)
        self.turnstile = Turnstile(
            QueueSection(max_seconds=20), lambda: self.capacity, clock=self.clock,
            chance=lambda: 0.5,
        )  # fmt: skip
        self.tasks: dict[asyncio.Task[None], Client] = {}
        self.count = 0
        self.places = 0

    async def serve(self, client: Client) -> None:
        async with self.turnstile.turn(client.entry) as turn:
            client.inside = True
            try:
                await client.leave.wait()
                turn.used(Usage(input_tokens=3, output_tokens=self.count % 40))
            finally:
                client.inside = False

    @rule(
        tenant=st.sampled_from("abc"),
        band=st.sampled_from(Band),
        tokens=st.integers(1, 60),
        sequences=st.integers(1, 3),
        seconds=st.sampled_from([0.5, 30.0, float("inf")]),
    )
    def join(self, tenant: str, band: Band, tokens: int, sequences: int, seconds: float) -> None:
        self.count += 1
        now = self.clock.monotonic()
        client = Client(
            Entry(
                request_id=f"r{self.count}", tenant=tenant, band=band, arrival=now,
                expected=Usage(input_tokens=tokens), sequences=sequences, deadline=now + seconds,
            )
        )  # fmt: skip
        self.tasks[self.loop.create_task(self.serve(client))] = client
        self.settle()

    @rule(index=st.integers(0, 20))
    def cancel(self, index: int) -> None:
        if self.tasks:
            list(self.tasks)[index % len(self.tasks)].cancel()
            self.settle()

    @rule(index=st.integers(0, 20))
    def finish(self, index: int) -> None:
        if self.inside:
            self.inside[index % len(self.inside)].leave.set()
            self.settle()

    @rule(index=st.integers(0, 20), which=st.integers(0, 20), steps=st.integers(0, 3))
    def cancel_while_another_finishes(self, index: int, which: int, steps: int) -> None:
        """At every point between a turn that is given back and the next one that begins."""
        if self.inside:
            self.inside[index % len(self.inside)].leave.set()
            self.turn_the_loop(steps)
        self.cancel(which)

    @rule(turns=st.integers(0, 4))
    def resize(self, turns: int) -> None:
        self.capacity = Capacity(turns, self.capacity.tokens)
        self.turnstile.changed()
        self.settle()

    @rule(seconds=st.sampled_from([0.1, 1.0, 40.0]))
    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.turnstile.changed()
        self.settle()

    @rule()
    def close_sometimes(self) -> None:
        if self.count > 12:
            self.turnstile.close()
            self.settle()
            assert self.turnstile.report().waiting == 0

    def settle(self) -> None:
        self.turn_the_loop(4)

    def turn_the_loop(self, times: int) -> None:
        for _ in range(times):
            self.loop.run_until_complete(asyncio.sleep(0))
        for task in [task for task in self.tasks if task.done()]:
            del self.tasks[task]
            error = None if task.cancelled() else task.exception()
            assert error is None or isinstance(error, Overloaded | DeadlineExceeded | Draining)
            if isinstance(error, Overloaded):
                assert error.retry_after is not None
                assert error.retry_after > 0

    @property
    def inside(self) -> list[Client]:
        return [client for client in self.tasks.values() if client.inside]

    @invariant()
    def sound(self) -> None:
        if not hasattr(self, "loop"):
            return
        self.settle()
        report = self.turnstile.report()
        assert report.in_flight == len(self.inside)
        places = sum(client.entry.sequences for client in self.inside)
        assert places <= max(self.capacity.turns, self.places) or report.in_flight == 1
        self.places = places
        assert report.waiting == len(self.tasks) - len(self.inside)
        assert report.waiting == sum(map(sum, (b.values() for b in report.by_band.values())))
        held = sum(client.entry.tokens for client in self.inside)
        assert report.tokens_in_flight == held
        if report.waiting and report.in_flight == 0:
            assert self.capacity.turns == 0, "requests wait beside empty places"

    def teardown(self) -> None:
        if not hasattr(self, "loop"):
            return
        for task in self.tasks:
            task.cancel()
        self.settle()
        report = self.turnstile.report()
        assert (report.waiting, report.in_flight, report.tokens_in_flight) == (0, 0, 0)
        queue = self.turnstile._room._queue
        assert queue.units == 0.0
        assert all(not band._lanes for band in queue._bands.values())
        self.turnstile.close()
        self.loop.close()


Machine.TestCase.settings = settings(max_examples=60, stateful_step_count=40)
TestTurnstile = Machine.TestCase
