"""An engine that sleeps loses no request, whatever crosses on the way to it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from msgspec.structs import replace

from stoker.core.output import FinishReason
from stoker.engine.client import EngineClient
from stoker.engine.frames import EngineSettings
from stoker.engine.interface import BlockEvent, EngineState
from stoker.executor.fake import FakeOptions
from stoker.kernels.decoder import BLOCK_TOKENS
from tests.support.engine_streams import SLOW, Running, kill, request, started, until, wanted
from tests.support.models import model_path


class Cached:
    def __init__(self) -> None:
        self.blocks: set[bytes] = set()

    def changed(self, events: list[BlockEvent]) -> None:
        for event in events:
            self.blocks -= set(event.removed)
            self.blocks |= set(event.stored)

    def lost(self) -> None:
        self.blocks.clear()


async def test_a_request_wakes_an_engine_and_gets_its_tokens() -> None:
    client = await started()
    try:
        await client.sleep()
        assert client.state is EngineState.SLEEPING
        stream = Running(client, request("a"))
        await stream.ended()
        assert stream.tokens == wanted(stream.asked)
        assert client.state is EngineState.READY
        await client.sleep()
        await client.sleep()
        assert client.state is EngineState.SLEEPING
        await client.wake()
        await client.wake()
        assert client.state is EngineState.READY
    finally:
        await client.close()


async def test_an_engine_with_requests_does_not_fall_asleep() -> None:
    client = await started()
    try:
        stream = Running(client, request("busy", 100))
        await stream.has(1)
        await client.sleep()
        assert client.state is EngineState.READY
        await stream.ended()
        assert stream.tokens == wanted(stream.asked)
    finally:
        await client.close()


async def test_requests_that_cross_with_sleep_on_their_way_are_served() -> None:
    client = await started(EngineSettings(executor="fake"))
    try:
        for turn in range(50):
            sleeping = asyncio.create_task(client.sleep())
            if turn % 2:
                await asyncio.sleep(0)
            stream = Running(client, request(f"r{turn}", 5))
            if turn % 3 == 0:
                waking = asyncio.create_task(client.wake())
                await waking
            await stream.ended()
            await sleeping
            assert stream.tokens == wanted(stream.asked)
            assert stream.reason is FinishReason.LENGTH
    finally:
        await client.close()


async def test_killed_in_its_sleep_it_comes_back_awake_and_nobody_waits_for_ever() -> None:
    client = await started()
    try:
        await client.sleep()
        kill(client)
        waking = asyncio.create_task(client.wake())
        stream = Running(client, request("after"))
        await stream.ended()
        await asyncio.wait_for(waking, 5)
        assert stream.tokens == wanted(stream.asked)
        assert client.state is EngineState.READY
        assert client.num_restarts == 1
    finally:
        await client.close()


async def test_what_was_cached_is_forgotten_on_both_sides() -> None:
    settings = replace(SLOW, cache_key=b"k" * 32, fake=FakeOptions())
    client = await started(settings)
    cached = Cached()
    client.listen(cached)
    try:
        asked = replace(request("same"), prompt_token_ids=tuple(range(64)))
        await Running(client, asked).ended()
        assert cached.blocks
        await client.sleep()
        assert not cached.blocks
        again = Running(client, replace(asked, request_id="again"))
        await again.ended()
        assert again.tokens == wanted(asked)
        assert client.load.prefix_hit_tokens == 0
        await until(lambda: cached.blocks)
        assert client.load.broken_invariants == 0
    finally:
        await client.close()


def resident(client: EngineClient) -> int:
    status = Path(f"/proc/{client.pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if "VmRSS" in line) << 10


@pytest.mark.model
async def test_asleep_a_real_engine_holds_its_weights_and_no_keys_and_values() -> None:
    path = str(model_path("smollm2:135m"))
    client = await started(EngineSettings(model_path=path, max_context=1024))
    try:
        asked = replace(request("long", 4), prompt_token_ids=tuple(range(300, 900)))
        others = [
            replace(asked, request_id=f"o{n}", prompt_token_ids=tuple(range(n, n + 600)))
            for n in range(1000, 1003)
        ]
        streams = [Running(client, one) for one in (asked, *others)]
        for stream in streams:
            await stream.ended()
        worked = resident(client)
        blocks = len(streams) * (600 // BLOCK_TOKENS)
        held = blocks * client.info.kv_bytes // client.info.num_blocks
        await client.sleep()
        assert resident(client) < worked - 0.9 * held
        assert resident(client) > client.info.weight_bytes
        again = Running(client, replace(asked, request_id="again"))
        await again.ended()
        assert again.tokens == streams[0].tokens
    finally:
        await client.close()
