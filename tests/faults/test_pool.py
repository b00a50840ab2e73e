"""Replicas are killed under load, told to go, or full; no stream fails, and no token is wrong."""

from __future__ import annotations

import asyncio

import pytest
from msgspec.structs import replace

from stoker.config.fleet_schema import BalanceSection
from stoker.core.clock import SystemClock
from stoker.core.output import FinishReason
from stoker.engine.interface import EngineState
from stoker.errors import DeadlineExceeded, Draining, Loading, NoCapacity, Overloaded, ReplicaLost
from stoker.executor.fake import FakeOptions
from stoker.fleet.interface import ReplicaSpec
from stoker.fleet.local import LocalPlacer
from stoker.gateway.balancing import Balancing
from stoker.gateway.pool import ReplicaPool
from tests.support.engine_streams import DEADLINE, SLOW, Running, request, until, wanted
from tests.support.pools import running_pool


@pytest.mark.fault("F01")
async def test_streams_of_a_killed_replica_go_on_at_the_other() -> None:
    async with running_pool(2) as running:
        streams = [Running(running.pool, request(f"s{number}", 200)) for number in range(8)]
        for stream in streams:
            await stream.has(5)
        assert {one.backend.load.num_running for one in running.replicas} == {4}
        running.kill(0)
        for stream in streams:
            await stream.ended()
            assert stream.tokens == wanted(stream.asked)
            assert stream.reason is FinishReason.LENGTH
        assert running.pool.num_restarts <= 1


@pytest.mark.fault("F01")
async def test_replicas_killed_in_a_loop_under_load_cost_no_stream_and_no_token() -> None:
    async with running_pool(2) as running:
        streams: list[Running] = []
        for kill in range(6):
            streams += [Running(running.pool, request(f"k{kill}s{n}", 150)) for n in range(6)]
            await streams[-1].has(3)
            await until(lambda: running.ready() == 2)
            running.kill(kill % 2)
        for stream in streams:
            await stream.ended()
        assert [one.tokens for one in streams] == [wanted(one.asked) for one in streams]
        assert {one.reason for one in streams} == {FinishReason.LENGTH}


@pytest.mark.fault("F01")
async def test_both_killed_at_once_is_only_a_pause() -> None:
    async with running_pool(2) as running:
        streams = [Running(running.pool, request(f"b{number}", 100)) for number in range(4)]
        for stream in streams:
            await stream.has(3)
        running.kill(0)
        running.kill(1)
        for stream in streams:
            await stream.ended()
            assert stream.tokens == wanted(stream.asked)


@pytest.mark.fault("F01")
async def test_a_request_that_kills_whatever_computes_it_takes_no_other_with_it() -> None:
    deadly = replace(SLOW, fake=FakeOptions(step_seconds=0.002, deadly_token=999))
    async with running_pool(2, deadly) as running:
        healthy = [Running(running.pool, request(f"h{number}", 150)) for number in range(6)]
        for stream in healthy:
            await stream.has(2)
        poison = request("poison", 5)
        poison = replace(poison, prompt_token_ids=(1, 999, 2))
        bad = Running(running.pool, poison)
        await bad.ended()
        assert (bad.reason, bad.finish.error_code) == (FinishReason.ERROR, ReplicaLost.code)
        for stream in healthy:
            await stream.ended()
            assert stream.tokens == wanted(stream.asked)


@pytest.mark.fault("F01")
async def test_what_was_taken_waits_for_room_when_the_others_are_full() -> None:
    small = replace(SLOW, max_running=4, max_waiting=4)
    async with running_pool(2, small) as running:
        streams = [Running(running.pool, request(f"f{number:02}", 60)) for number in range(16)]
        await until(lambda: sum(one.backend.load.num_running for one in running.replicas) == 8)
        await until(lambda: sum(one.backend.load.num_waiting for one in running.replicas) == 8)
        with pytest.raises(Overloaded):
            await anext(running.pool.submit(request("one too many")))
        running.kill(0)
        for stream in streams:
            await stream.ended()
            assert stream.tokens == wanted(stream.asked)


@pytest.mark.fault("F16")
async def test_a_replica_that_is_told_to_go_hands_its_streams_on() -> None:
    async with running_pool(2) as running:
        streams = [Running(running.pool, request(f"i{number}", 150)) for number in range(6)]
        for stream in streams:
            await stream.has(3)
        await running.pool.scale(1, grace=0.0)
        for stream in streams:
            await stream.ended()
            assert stream.tokens == wanted(stream.asked)


@pytest.mark.fault("F12")
async def test_a_replica_lost_while_draining_costs_no_stream() -> None:
    async with running_pool(2) as running:
        streams = [Running(running.pool, request(f"d{number}", 150)) for number in range(6)]
        for stream in streams:
            await stream.has(3)
        draining = asyncio.create_task(running.pool.drain(DEADLINE))
        await until(lambda: running.pool.state is EngineState.DRAINING)
        with pytest.raises(Draining):
            await anext(running.pool.submit(request("late")))
        running.kill(0)
        await draining
        for stream in streams:
            await stream.ended()
            assert stream.tokens == wanted(stream.asked)


@pytest.mark.fault("F12")
async def test_what_outlasts_a_drain_ends_with_its_code_wherever_it_is() -> None:
    async with running_pool(1) as running:
        running_one = Running(running.pool, request("long", 3000))
        await running_one.has(1)
        await running.pool.drain(0.0)
        await running_one.ended()
        assert running_one.finish.error_code == Draining.code
    async with running_pool(1) as running:
        waiting = Running(running.pool, request("long", 3000))
        await waiting.has(1)
        running.kill(0)
        await until(lambda: running.ready() == 0)
        await running.pool.drain(0.0)
        await waiting.ended()
        assert waiting.finish.error_code == Draining.code


async def test_a_deadline_holds_while_no_replica_is_there() -> None:
    slow = replace(SLOW, fake=FakeOptions(step_seconds=0.005, load_seconds=1.0))
    async with running_pool(1, slow) as running:
        stream = Running(running.pool, request("late", 2000, timeout=0.5))
        await stream.has(1)
        running.kill(0)
        await stream.ended()
        assert stream.finish.error_code == DeadlineExceeded.code
        with pytest.raises(DeadlineExceeded):
            await anext(running.pool.submit(request("never begun", timeout=0.02)))


async def test_a_request_wakes_a_pool_that_sleeps() -> None:
    async with running_pool(1) as running:
        await running.replicas[0].sleep(1)
        stream = Running(running.pool, request("wake", 5))
        await stream.ended()
        assert stream.tokens == wanted(stream.asked)


async def test_load_is_held_until_the_stream_ends_and_then_given_back() -> None:
    async with running_pool(2) as running:
        streams = [Running(running.pool, request(f"l{number}", 50)) for number in range(4)]
        for stream in streams:
            await stream.has(1)
        views = [account.view(0.0) for account in running.pool._replicas._accounts.values()]
        assert [view.in_flight for view in views] == [2, 2]
        for stream in streams:
            await stream.ended()
        views = [account.view(0.0) for account in running.pool._replicas._accounts.values()]
        assert [(v.in_flight, v.queued_prefill_tokens, v.active_decode_tokens) for v in views] == [
            (0, 0, 0)
        ] * 2


async def test_a_cancelled_request_ends_once_wherever_it_is() -> None:
    async with running_pool(1) as running:
        stream = Running(running.pool, request("c", 2000))
        await stream.has(2)
        running.pool.cancel(stream.asked.request_id)
        await stream.ended()
        assert stream.reason is FinishReason.CANCELLED
        again = Running(running.pool, request("d", 2000))
        await again.has(2)
        running.kill(0)
        await until(lambda: running.ready() == 0)
        running.pool.cancel(again.asked.request_id)
        await again.ended()
        assert again.reason is FinishReason.CANCELLED


@pytest.mark.fault("F01")
async def test_a_pool_whose_replicas_are_gone_says_so() -> None:
    async with running_pool(1, max_restarts=0) as running:
        stream = Running(running.pool, request("g", 2000))
        await stream.has(2)
        running.kill(0)
        await stream.ended()
        assert stream.finish.error_code in (ReplicaLost.code, NoCapacity.code)
        with pytest.raises(NoCapacity):
            await anext(running.pool.submit(request("late")))


async def test_before_a_replica_has_loaded_requests_are_told_so() -> None:
    slow = replace(SLOW, fake=FakeOptions(load_seconds=30.0))
    placer = LocalPlacer(ReplicaSpec(model="m", source="", engine=slow), SystemClock())
    pool = ReplicaPool(placer, Balancing(BalanceSection(policy="least_loaded")), SystemClock())
    starting = asyncio.create_task(pool.start())
    await until(lambda: placer.replicas)
    with pytest.raises(Loading):
        await anext(pool.submit(request("early")))
    starting.cancel()
    await asyncio.gather(starting, return_exceptions=True)
    await pool.close()


async def test_a_replica_that_is_away_counts_for_no_capacity() -> None:
    async with running_pool(2) as running:
        await until(lambda: running.ready() == 2)
        both = running.pool.info
        running.kill(0)
        await until(lambda: running.ready() == 1)
        one = running.pool.info
        assert (one.max_running * 2, one.num_blocks * 2) == (both.max_running, both.num_blocks)
        running.kill(1)
        await until(lambda: running.ready() == 0)
        assert running.pool.info == one, "none is ready: as one of them"
        await until(lambda: running.ready() == 2)
        assert running.pool.info == both


@pytest.mark.fault("F16")
async def test_another_way_to_balance_holds_for_the_next_request_and_ends_none() -> None:
    async with running_pool(2) as running:
        await until(lambda: running.ready() == 2)
        first = Running(running.pool, request("first", 300))
        await first.has(1)
        running.pool.configure(BalanceSection(policy="session"))
        streams = []
        for number in range(6):
            asked = replace(request(f"s{number}", 300), session="one")
            streams.append(Running(running.pool, asked))
            await streams[-1].has(1)
        most = max(running.pool.in_flight(one.replica_id) for one in running.replicas)
        assert most > 4, "the least loaded would have been four and three"
        for stream in (first, *streams):
            await stream.ended()
            assert stream.tokens == wanted(stream.asked)
