"""What engine processes report of their caches decides where requests go, and a dead engine's cache
counts for nothing."""

from __future__ import annotations

from collections import Counter

from msgspec.structs import replace

from stoker.config.fleet_schema import BalanceSection
from stoker.core.ids import RequestId
from stoker.core.request import Request
from stoker.core.sampling import SamplingParams
from stoker.executor.fake import FakeOptions, expected_tokens
from stoker.gateway.balancing import Balancing
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


async def cached(running: RunningPool, request: Request) -> int:
    deltas = [delta async for delta in running.pool.submit(request)]
    tokens = [token for delta in deltas for token in delta.token_ids]
    assert tokens == expected_tokens(request.prompt_token_ids, 0, 2)
    return sum(delta.num_cached_tokens for delta in deltas)


def blocks(running: RunningPool) -> list[int]:
    return [replica.backend.load.cached_blocks for replica in running.replicas]


async def test_each_beginning_is_computed_once() -> None:
    balancing = Balancing(CERTAIN, KEY)
    async with running_pool(2, ENGINE, balancing=balancing) as running:
        found = Counter({(name, 0): await cached(running, asked(name, 0)) for name in "ab"})
        assert set(found.values()) == {0}
        for number in range(1, 5):
            for name in "ab":
                assert await cached(running, asked(name, number)) == 320
        assert blocks(running) == [20, 20]


async def test_the_cache_of_a_killed_engine_counts_for_nothing() -> None:
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
