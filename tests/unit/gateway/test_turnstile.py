"""Turns in an event loop: at most so many at once, and given back exactly once whatever happens."""

from __future__ import annotations

import asyncio
import math
import tracemalloc
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from typing import Any

import pytest

from stoker.config.fleet_schema import QueueSection
from stoker.core.clock import ManualClock, SystemClock
from stoker.engine.interface import EngineInfo
from stoker.errors import DeadlineExceeded, Draining, InternalError, Overloaded
from stoker.gateway.capacity import Capacity, capacity_of
from stoker.gateway.entry import Entry
from stoker.gateway.turnstile import Turnstile
from stoker.gateway.usage import Usage


class Place:
    def __init__(self, turns: int = 1, max_seconds: float = 1e6) -> None:
        self.capacity = Capacity(turns)
        self.clock = ManualClock()
        section = QueueSection(max_seconds=max_seconds, standing_seconds=1e6)
        self.turnstile = Turnstile(
            section, lambda: self.capacity, clock=self.clock, chance=lambda: 0.0
        )
        self.order: list[str] = []
        self.go_on = asyncio.Event()

    def entry(self, name: str, *, seconds: float = math.inf, tokens: int = 100) -> Entry:
        now = self.clock.monotonic()
        usage = Usage(input_tokens=tokens)
        return Entry(request_id=name, expected=usage, arrival=now, deadline=now + seconds)

    async def request(self, name: str, *, seconds: float = math.inf) -> None:
        """Holds its turn until `go_on`."""
        async with self.turnstile.turn(self.entry(name, seconds=seconds)):
            self.order.append(name)
            await self.go_on.wait()

    def empty(self) -> bool:
        report = self.turnstile.report()
        return (report.waiting, report.in_flight, report.tokens_in_flight) == (0, 0, 0)


async def begun(*requests: Coroutine[Any, Any, None]) -> list[asyncio.Task[None]]:
    tasks = [asyncio.create_task(request) for request in requests]
    await asyncio.sleep(0)
    return tasks


async def test_only_so_many_run_at_once_and_the_others_follow_in_order() -> None:
    place = Place(turns=2)
    tasks = await begun(*(place.request(f"r{index}") for index in range(5)))
    assert place.order == ["r0", "r1"]
    assert place.turnstile.report().waiting == 3
    place.go_on.set()
    await asyncio.gather(*tasks)
    assert place.order == ["r0", "r1", "r2", "r3", "r4"]
    assert place.empty()


async def test_who_waits_and_is_cancelled_leaves_the_line() -> None:
    place = Place()
    first, second, third = await begun(*(place.request(name) for name in ("a", "b", "c")))
    second.cancel()
    await asyncio.gather(second, return_exceptions=True)
    assert place.turnstile.report().waiting == 1
    place.go_on.set()
    await asyncio.gather(first, third)
    assert place.order == ["a", "c"]
    assert place.empty()


async def test_a_turn_that_comes_in_the_moment_of_cancelling_goes_to_the_next() -> None:
    place = Place()
    holder = place.turnstile.turn(place.entry("a"))
    await holder.__aenter__()
    second, third = await begun(place.request("b"), place.request("c"))
    await holder.__aexit__(None, None, None)  # b's turn has come; b does not know yet
    second.cancel()
    await asyncio.gather(second, return_exceptions=True)
    await asyncio.sleep(0)
    assert place.order == ["c"]
    place.go_on.set()
    await third
    assert place.empty()


async def test_an_error_inside_gives_the_turn_back() -> None:
    place = Place()
    with pytest.raises(ValueError, match="inside"):
        async with place.turnstile.turn(place.entry("a")):
            raise ValueError("inside")
    assert place.empty()


async def test_leaving_twice_gives_back_once() -> None:
    place = Place(turns=1)
    turn = place.turnstile.turn(place.entry("a"))
    async with turn:
        pass
    await turn.__aexit__(None, None, None)
    turn.used(Usage(input_tokens=5))
    assert place.empty()


async def test_closing_ends_all_that_wait_and_refuses_all_that_come() -> None:
    place = Place()
    running, *waiting = await begun(*(place.request(f"r{index}") for index in range(4)))
    place.turnstile.close()
    place.turnstile.close()
    ended = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(error) for error in ended] == [Draining] * 3
    with pytest.raises(Draining):
        await place.request("late")
    place.go_on.set()
    await running
    assert place.empty()


async def test_more_capacity_starts_more_once_it_is_told() -> None:
    place = Place(turns=0)
    tasks = await begun(*(place.request(f"r{index}") for index in range(3)))
    assert place.order == []
    place.capacity = Capacity(2)
    place.turnstile.changed()
    await asyncio.sleep(0)
    assert place.order == ["r0", "r1"]
    place.go_on.set()
    await asyncio.gather(*tasks)


async def test_new_bounds_hold_for_whoever_comes_next() -> None:
    place = Place()
    tasks = await begun(*(place.request(f"r{index}") for index in range(10)))
    place.turnstile.configure(QueueSection(max_seconds=1.0))
    with pytest.raises(Overloaded) as refused:
        await place.request("late")
    assert refused.value.retry_after is not None
    assert refused.value.retry_after > 1
    place.go_on.set()
    await asyncio.gather(*tasks)


async def test_time_that_runs_out_while_waiting_ends_the_wait() -> None:
    place = Place()
    running, waiting = await begun(place.request("a"), place.request("b", seconds=5.0))
    place.clock.advance(5.0)
    place.turnstile.changed()
    with pytest.raises(DeadlineExceeded):
        await waiting
    place.go_on.set()
    await running
    assert place.empty()


async def test_a_deadline_is_noticed_though_nothing_else_happens() -> None:
    clock = SystemClock()
    turnstile = Turnstile(QueueSection(), lambda: Capacity(0), clock=clock)
    now = clock.monotonic()
    for seconds in (0.05, 0.02):  # the later timer is replaced by the sooner one
        entry = Entry(
            request_id=str(seconds), expected=Usage(), arrival=now, deadline=now + seconds
        )
        with pytest.raises(DeadlineExceeded):
            async with turnstile.turn(entry):
                pass
    turnstile.close()


async def test_the_same_id_twice_is_refused_and_harms_nothing() -> None:
    place = Place()
    running, waiting = await begun(place.request("a"), place.request("b"))
    for name in ("a", "b"):
        with pytest.raises(InternalError):
            await place.request(name)
    place.go_on.set()
    await asyncio.gather(running, waiting)
    assert place.empty()


async def test_ten_thousand_wait_without_a_task_each_in_less_than_a_kibibyte_each() -> None:
    place = Place(max_seconds=1e9)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(place.turnstile.turn(place.entry("first")))
        tasks = len(asyncio.all_tasks())
        tracemalloc.start()
        turns = [place.turnstile.turn(place.entry(f"r{n}", seconds=1e9)) for n in range(10_000)]
        for turn in turns:
            place.turnstile.join(turn)
        used, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert len(asyncio.all_tasks()) == tasks
        assert place.turnstile.report().waiting == 10_000
        assert used < 1024 * 10_000
        for turn in turns:
            place.turnstile.leave(turn)
    assert place.empty()


def test_capacity_is_that_of_the_replicas_and_a_little_more() -> None:
    info = EngineInfo(
        max_context=1, vocab_size=1, block_size=16, num_blocks=100, max_running=8,
        weight_bytes=0, kv_bytes=0, kernels="", max_requests=1,
    )  # fmt: skip
    assert capacity_of([]) == Capacity(0, 0)
    assert capacity_of([info, info]) == Capacity(18, 3600)
