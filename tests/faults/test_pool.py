"""Replicas are killed and stopped under load; no stream fails, and no token is wrong (F01, F03)."""

from __future__ import annotations

import asyncio

import pytest
from msgspec.structs import replace

from stoker.config.fleet_schema import BalanceSection
from stoker.core.clock import SystemClock
from stoker.core.output import FinishReason
from stoker.errors import Loading, NoCapacity, ReplicaLost
from stoker.executor.fake import FakeOptions
from stoker.fleet.interface import ReplicaSpec
from stoker.fleet.local import LocalPlacer
from stoker.gateway.balancing import Balancing
from stoker.gateway.pool import ReplicaPool
from tests.support.engine_streams import SLOW, Running, request, until, wanted
from tests.support.pools import running_pool


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


async def test_load_is_held_until_the_stream_ends_and_then_given_back() -> None:
    async with running_pool(2) as running:
        streams = [Running(running.pool, request(f"l{number}", 50)) for number in range(4)]
        for stream in streams:
            await stream.has(1)
        views = [account.view for account in running.pool._accounts.values()]
        assert [view.in_flight for view in views] == [2, 2]
        for stream in streams:
            await stream.ended()
        views = [account.view for account in running.pool._accounts.values()]
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
