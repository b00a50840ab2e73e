"""What engine processes report of their caches decides where requests go, and a dead engine's cache
counts for nothing."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence

from msgspec.structs import replace

from stoker.config.fleet_schema import BalanceSection
from stoker.core.ids import RequestId
from stoker.core.output import TokenDelta
from stoker.core.request import Request
from stoker.core.sampling import SamplingParams
from stoker.engine.client import EngineClient
from stoker.engine.interface import Backend, BlockEvent, EngineState
from stoker.executor.fake import FakeOptions, expected_tokens
from stoker.gateway.balancing import Balancing
from stoker.kv.block_hash import Scope, keyed_hash, prompt_digests
from tests.support.engine_streams import SLOW, until
from tests.support.pools import RunningPool, running_pool

KEY = b"k" * 32
ENGINE = replace(SLOW, cache_key=KEY, fake=FakeOptions(block_size=16))
CERTAIN = BalanceSection(exploration=0.0)
BEGINNINGS = {name: tuple(range(start, start + 320)) for name, start in (("a", 0), ("b", 400))}


def asked(name: str, number: int) -> Request:
    return Request(
        request_id=RequestId(f"{name}{number}"),
        prompt_token_ids=(*BEGINNINGS[name], number),
        sampling=SamplingParams(max_tokens=2),
        tenant="t",
    )


async def drained(backend: Backend, request: Request) -> list[TokenDelta]:
    return [delta async for delta in backend.submit(request)]


async def cached(running: RunningPool, request: Request) -> int:
    deltas = await drained(running.pool, request)
    tokens = [token for delta in deltas for token in delta.token_ids]
    assert tokens == expected_tokens(request.prompt_token_ids, 0, 2)
    return sum(delta.num_cached_tokens for delta in deltas)


def blocks(running: RunningPool) -> list[int]:
    return [replica.backend.load.cached_blocks for replica in running.replicas]


async def test_each_beginning_is_computed_once() -> None:
    balancing = Balancing(CERTAIN, KEY)
    async with running_pool(2, ENGINE, balancing=balancing) as running:
        for name in "ab":
            assert await cached(running, asked(name, 0)) == 0
        for number in range(1, 5):
            for name in "ab":
                assert await cached(running, asked(name, number)) == 320
        assert blocks(running) == [20, 20]


class Heard:
    """Implements BlockListener."""

    def __init__(self) -> None:
        self.stored: list[bytes] = []
        self.times_lost = 0

    def changed(self, events: Sequence[BlockEvent]) -> None:
        self.stored += (digest for event in events for digest in event.stored)

    def lost(self) -> None:
        self.stored.clear()
        self.times_lost += 1


async def test_an_engine_that_died_has_nothing_cached() -> None:
    client, heard = EngineClient(ENGINE), Heard()
    client.listen(heard)
    await client.start()
    try:
        names = prompt_digests(keyed_hash(KEY), Scope("t"), BEGINNINGS["a"], 16)
        await drained(client, asked("a", 0))
        assert tuple(heard.stored) == names
        assert client.pid is not None
        os.kill(client.pid, signal.SIGKILL)
        await until(lambda: client.num_restarts == 1 and client.state is EngineState.READY)
        assert (heard.stored, heard.times_lost) == ([], 1)
        await drained(client, asked("a", 1))
        assert tuple(heard.stored) == names
    finally:
        await client.close()


async def test_a_restarted_replica_is_not_taken_for_one_that_knows_the_prompt() -> None:
    balancing = Balancing(CERTAIN, KEY)
    async with running_pool(2, ENGINE, balancing=balancing) as running:
        await cached(running, asked("a", 0))
        killed = blocks(running).index(20)
        running.kill(killed)
        await until(lambda: running.ready() == 1)
        await cached(running, asked("a", 1))
        await until(lambda: running.ready() == 2)
        for number in range(2, 5):
            assert await cached(running, asked("a", number)) == 320
        assert blocks(running)[killed] == 0
