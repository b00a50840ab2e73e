"""Limits that fronts share, in real servers: what the scripts decide is what the policy decides, no
number of clients passes a budget, and without the server nobody gets past."""

from __future__ import annotations

import asyncio
import random
import re
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from stoker.bench.server import free_port
from stoker.config.fleet_schema import StoreSection
from stoker.core.clock import ManualClock
from stoker.errors import (
    BudgetExhausted,
    ConfigError,
    RateLimitExceeded,
    SetupError,
    StokerError,
    StorageUnavailable,
)
from stoker.gateway.ledger import Ask, Grant, Ledger
from stoker.gateway.stores import remote
from stoker.gateway.stores.choice import open_ledger
from stoker.gateway.stores.memory import MemoryLimiter
from stoker.gateway.tenant import Tenant
from stoker.gateway.usage import Usage
from tests.support.programs import postgresql, redis
from tests.support.tenants import ask, spend, spend_all, tenant

BUDGET = 200_200
"""The last answer is shortened, so that nothing is left."""
WALL = 1_700_000_000.0


@pytest.fixture(params=["redis", "postgresql"])
def section(request: pytest.FixtureRequest) -> StoreSection:
    return section_of(request.getfixturevalue(f"{request.param}_url"))


def section_of(url: str) -> StoreSection:
    return StoreSection(limits_url=url) if url.startswith("redis") else StoreSection(url=url)


@asynccontextmanager
async def ledger_at(
    section: StoreSection, folder: Path, clock: ManualClock | None = None
) -> AsyncIterator[Ledger]:
    clock = clock or ManualClock(wall=WALL)
    ledger = await open_ledger(section, [tenant()], folder, clock)
    try:
        yield ledger
    finally:
        await ledger.close()


def own(request: pytest.FixtureRequest, **limits: int | str) -> Tenant:
    """A tenant of this test alone: the servers are shared."""
    return tenant(request.node.name, **limits)


async def test_a_thousand_clients_of_two_fronts_never_pass_the_budget(
    section: StoreSection, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    rich = own(request, budget=BUDGET)
    async with ledger_at(section, tmp_path) as one, ledger_at(section, tmp_path) as other:
        assert await spend_all([one, other], rich, 1000, 300) == BUDGET
        with pytest.raises(BudgetExhausted):
            await one.reserve(ask(rich, 1))


async def test_concurrency_is_shared_and_given_back(
    section: StoreSection, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    busy = own(request, concurrency=3)
    async with ledger_at(section, tmp_path) as one, ledger_at(section, tmp_path) as other:
        found = await asyncio.gather(
            *(ledger.reserve(ask(busy)) for ledger in (one, other) for _ in range(10)),
            return_exceptions=True,
        )
        grants = [grant for grant in found if isinstance(grant, Grant)]
        assert len(grants) == 3
        for grant in grants:
            await one.settle(grant, Usage(), "stop")
            await other.settle(grant, Usage(), "stop")
        await asyncio.gather(*(other.reserve(ask(busy)) for _ in range(3)))


class Both:
    """The policy in memory and a store, asked the same. A store looks for reservations that ran
    out when their tenant reserves, so each tenant has a policy of its own here."""

    def __init__(self, shared: Ledger, clock: ManualClock) -> None:
        self._policies: defaultdict[str, MemoryLimiter] = defaultdict(
            lambda: MemoryLimiter(clock, lambda record: None)
        )
        self._shared = shared
        self._open: list[tuple[Grant, Grant]] = []
        self.seen: set[str] = set()

    async def reserve(self, asked: Ask) -> None:
        policy = self._policies[asked.tenant.name]
        answers = [await _outcome(policy, asked), await _outcome(self._shared, asked)]
        assert _comparable(answers[0]) == _comparable(answers[1])
        first, second = answers
        if isinstance(first, Grant) and isinstance(second, Grant):
            self._open.append((first, second))
            self.seen.add("granted" if first.output_tokens == asked.output_tokens else "shortened")
        elif isinstance(first, StokerError):
            self.seen.add(re.sub(r"\d+", "N", first.message))

    async def settle(self, number: int, output: int) -> None:
        if self._open:
            first, second = self._open.pop(number % len(self._open))
            usage = Usage(
                input_tokens=first.ask.input_tokens,
                output_tokens=min(output, first.output_tokens),
            )
            await self._policies[first.ask.tenant.name].settle(first, usage)
            await self._shared.settle(second, usage, "stop")


async def _outcome(limiter: MemoryLimiter | Ledger, asked: Ask) -> Grant | StokerError:
    try:
        return await limiter.reserve(asked)
    except (RateLimitExceeded, BudgetExhausted) as error:
        return error


def _comparable(answer: Grant | StokerError) -> object:
    if isinstance(answer, Grant):
        return answer.output_tokens
    after = None if answer.retry_after is None else round(answer.retry_after, 3)
    return type(answer), answer.message, after or None


async def test_the_scripts_decide_as_the_policy_does(
    section: StoreSection, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    chance = random.Random(7)
    clock = ManualClock(now=WALL, wall=WALL)
    kinds = [
        own(request, budget=40_000, budget_window="hour", concurrency=9, tokens_per_minute=6000),
        tenant(f"{request.node.name}-2", requests_per_minute=6, concurrency=4),
        tenant(f"{request.node.name}-3", tokens_per_minute=900),
    ]
    seen = set()
    async with ledger_at(section, tmp_path, clock) as ledger:
        both = Both(ledger, clock)
        for _ in range(600):
            if chance.random() < 0.55:
                output = chance.choice([0, 1, 30, 400, 2000])
                prompt = chance.choice([1, 80, 500, 3000])
                asked = ask(chance.choice(kinds), prompt, output=output, seconds=100.0)
                again = chance.choice([1, 1, 0])
                await both.reserve(msgspec.structs.replace(asked, requests=again))
            else:
                await both.settle(chance.randrange(100), chance.choice([0, 20, 9999]))
            clock.advance(chance.choice([0.0, 0.0, 0.25, 3.0, 3.0, 40.0]))
        seen = both.seen
    assert len(seen) == 8, seen  # granted, shortened, and each of the six refusals


async def test_a_front_that_died_holds_nothing_for_ever(
    section: StoreSection, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    busy = own(request, concurrency=1, budget=1000)
    clock = ManualClock(wall=WALL)
    async with ledger_at(section, tmp_path, clock) as died, ledger_at(section, tmp_path) as left:
        del left
        lost = await died.reserve(ask(busy, 200, seconds=60.0))
        async with ledger_at(section, tmp_path, clock) as ledger:
            with pytest.raises(RateLimitExceeded):
                await ledger.reserve(ask(busy, 200))
            clock.advance(60.0)
            assert await spend(ledger, busy, 100) == 200
            assert (await ledger.reserve(ask(busy, 100, output=900))).output_tokens == 300
        await died.settle(lost, Usage(), "stop")


async def test_a_client_that_leaves_while_reserving_has_reserved_nothing(
    section: StoreSection,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(remote, "RETRY_SECONDS", 0.05)
    busy = own(request, concurrency=1)
    async with ledger_at(section, tmp_path) as ledger:
        for turns in range(8):
            leaving = asyncio.create_task(ledger.reserve(ask(busy)))
            for _ in range(turns):
                await asyncio.sleep(0)
            leaving.cancel()
            await asyncio.gather(leaving, return_exceptions=True)
        async with asyncio.timeout(10):
            while isinstance(await _outcome(ledger, ask(busy)), StokerError):
                await asyncio.sleep(0.02)


@pytest.mark.parametrize("scheme", ["redis", "valkey", "postgresql"])
async def test_a_store_that_is_not_there_is_one_line(tmp_path: Path, scheme: str) -> None:
    url = f"{scheme}://someone:secret@127.0.0.1:{free_port()}/0"
    name = "url" if scheme == "postgresql" else "limits_url"
    with pytest.raises(SetupError, match="cannot be used") as refused:
        await open_ledger(StoreSection(**{name: url}), [], tmp_path, ManualClock())
    assert "secret" not in refused.value.message


async def test_budgets_that_redis_cannot_count_are_refused(redis_url: str, tmp_path: Path) -> None:
    huge = tenant(budget=2**53)
    with pytest.raises(ConfigError, match="too large"):
        await open_ledger(StoreSection(limits_url=redis_url), [huge], tmp_path, ManualClock())


@pytest.mark.parametrize("kind", ["redis", "postgresql"])
async def test_without_the_store_all_are_refused_until_it_is_back(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What ended meanwhile is settled then: the tenant may run one request at a time."""
    monkeypatch.setattr(remote, "RETRY_SECONDS", 0.02)
    monkeypatch.setattr(remote, "AWAY_SECONDS", 0.0)
    limited = tenant(budget=1000, concurrency=1)
    with redis() if kind == "redis" else postgresql() as server:
        with server.started() as url:
            ledger = await open_ledger(section_of(url), [], tmp_path, ManualClock(wall=WALL))
            running = await ledger.reserve(ask(limited, 100))
        for _ in range(3):
            with pytest.raises(StorageUnavailable):
                await ledger.reserve(ask(limited, 100))
        await ledger.settle(running, Usage(input_tokens=100, output_tokens=1), "stop")
        with server.started():
            wanted = ask(limited, 1, output=1000)
            async with asyncio.timeout(20):
                while isinstance(found := await _outcome_of(ledger, wanted), StokerError):
                    await asyncio.sleep(0.02)
            assert found.output_tokens == 1000 - 101 - 1
            await ledger.close()


async def _outcome_of(ledger: Ledger, asked: Ask) -> Grant | StokerError:
    try:
        return await ledger.reserve(asked)
    except StokerError as error:
        return error
