"""Pools that shrink to nothing and grow again, under requests: none is lost, none is cut (L9)."""

from __future__ import annotations

import asyncio

import pytest
from msgspec.structs import replace

from stoker.config.fleet_schema import AutoscaleSection
from stoker.core.output import FinishReason
from stoker.core.request import Request
from stoker.engine.frames import EngineSettings
from stoker.engine.interface import EngineState
from stoker.fleet.interface import ReplicaState
from stoker.gateway.admission import Demand
from stoker.gateway.tenant import ANONYMOUS
from tests.support.elastic import elastic
from tests.support.engine_streams import SLOW, Running, request, until, wanted
from tests.support.models import model_path

READY, SLEEPING = ReplicaState.READY, ReplicaState.SLEEPING
TO_NONE = AutoscaleSection(minimum=0, maximum=2, idle_seconds=0.3)


async def test_idle_it_sleeps_and_a_request_that_waits_meanwhile_is_answered() -> None:
    async with elastic(TO_NONE) as running:
        await until(lambda: running.count(SLEEPING))
        assert running.pool.state is EngineState.SLEEPING
        streams = [Running(running.pool, request(f"s{n}", 20)) for n in range(5)]
        for stream in streams:
            await stream.ended()
            assert stream.tokens == wanted(stream.asked)
        assert running.pool.num_restarts == 0


async def test_idle_for_long_no_process_is_left_and_the_next_request_starts_one() -> None:
    bounds = replace(TO_NONE, idle_seconds=0.05)
    async with elastic(bounds) as running:
        await until(lambda: not running.placer.replicas)
        assert running.pool.state is EngineState.SLEEPING
        assert running.pool.info.max_requests > 0
        stream = Running(running.pool, request("first", 5))
        await stream.ended()
        assert stream.tokens == wanted(stream.asked)


async def test_to_none_and_back_again_and_again_no_request_fails() -> None:
    async with elastic(replace(TO_NONE, idle_seconds=0.02)) as running:
        for turn in range(25):
            await asyncio.sleep(0.013 * (turn % 7))
            stream = Running(running.pool, request(f"t{turn}", 5))
            await stream.ended()
            assert stream.tokens == wanted(stream.asked)
            assert stream.reason is FinishReason.LENGTH


async def test_a_request_that_nobody_wants_any_more_does_not_wait_for_a_replica() -> None:
    async with elastic(replace(TO_NONE, idle_seconds=0.05)) as running:
        await until(lambda: not running.placer.replicas)
        stream = Running(running.pool, request("gone", 5))
        await asyncio.sleep(0)
        running.pool.cancel(stream.asked.request_id)
        await stream.ended()
        assert stream.reason is FinishReason.CANCELLED


async def test_replicas_that_leave_under_load_cut_no_stream() -> None:
    """With no time to finish, what they have is carried on elsewhere, token by token the same."""
    async with elastic(AutoscaleSection(minimum=3, maximum=3), grace=0.0) as running:
        await until(lambda: running.count(READY) == 3)
        streams = [Running(running.pool, request(f"l{n}", 150)) for n in range(9)]
        for stream in streams:
            await stream.has(2)
        running.controller.autoscaler.bounds = AutoscaleSection(minimum=1, maximum=1)
        await until(lambda: len(running.placer.replicas) == 1)
        for stream in streams:
            await stream.ended()
            assert stream.tokens == wanted(stream.asked)
            assert stream.reason is FinishReason.LENGTH


async def test_a_replica_that_leaves_finishes_what_it_has_if_there_is_time() -> None:
    async with elastic(AutoscaleSection(minimum=2, maximum=2)) as running:
        await until(lambda: running.count(READY) == 2)
        streams = [Running(running.pool, request(f"d{n}", 60)) for n in range(4)]
        for stream in streams:
            await stream.has(1)
        running.controller.autoscaler.bounds = AutoscaleSection(minimum=1, maximum=1)
        await until(lambda: running.count(ReplicaState.DRAINING))
        for stream in streams:
            await stream.ended()
            assert stream.tokens == wanted(stream.asked)
        await until(lambda: len(running.placer.replicas) == 1)


async def test_more_is_asked_than_one_replica_can_do_and_others_come() -> None:
    engine = replace(SLOW, max_running=2)
    async with elastic(AutoscaleSection(minimum=1, maximum=3), engine) as running:

        async def ask(number: int) -> None:
            stream = request(f"m{number}", 40)
            async with running.line.turn(demand(stream)):
                answer = Running(running.pool, stream)
                await answer.ended()
                assert answer.tokens == wanted(stream)

        asking = [asyncio.create_task(ask(number)) for number in range(40)]
        await until(lambda: running.count(READY) == 3)
        await asyncio.gather(*asking)
        assert running.controller.decision.desired == 3


def demand(asked: Request) -> Demand:
    return Demand(
        request_id=asked.request_id,
        principal=ANONYMOUS,
        model="tiny",
        input_tokens=asked.num_prompt_tokens,
        output_tokens=asked.sampling.max_tokens,
        seconds=60.0,
    )


@pytest.mark.model
async def test_a_real_model_that_sleeps_answers_as_before() -> None:
    engine = EngineSettings(model_path=str(model_path("smollm2:135m")), max_context=512)
    async with elastic(TO_NONE, engine) as running:
        asked = replace(request("real", 8), prompt_token_ids=tuple(range(300, 340)))
        first = Running(running.pool, asked)
        await first.ended()
        await until(lambda: running.count(SLEEPING))
        second = Running(running.pool, replace(asked, request_id="again"))
        await second.ended()
        assert second.tokens == first.tokens
        running.controller.autoscaler.bounds = replace(TO_NONE, idle_seconds=0.02)
        await until(lambda: not running.placer.replicas)
        third = Running(running.pool, replace(asked, request_id="cold"))
        await third.ended()
        assert third.tokens == first.tokens
        assert {one.reason for one in (first, second, third)} == {FinishReason.LENGTH}
