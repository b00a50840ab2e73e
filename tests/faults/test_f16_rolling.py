"""Replicas are replaced one by one, and the configuration changes, under load: no request fails."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from msgspec.structs import replace

from stoker.api.reloading import Reloading
from stoker.config.fleet_schema import KeyEntry, RouteEntry, TargetEntry, TenantEntry
from stoker.config.reload import plan
from stoker.config.schema import Config, ServerSection
from stoker.core.output import FinishReason
from stoker.gateway.identity import digest_of, new_key
from tests.support.engine_streams import Running, request, until, wanted
from tests.support.pools import running_pool
from tests.support.server import MODEL, RunningServer, local_server


@pytest.mark.fault("F16")
async def test_three_replicas_are_replaced_one_by_one_under_load() -> None:
    async with running_pool(3) as running:
        streams: list[Running] = []
        for number, old in enumerate(running.replicas):
            streams += [Running(running.pool, request(f"w{number}s{n}", 120)) for n in range(6)]  # type: ignore[arg-type]
            await streams[-1].has(2)
            running.placer.start()
            await until(lambda: running.ready() == 4)
            await running.placer.stop(old.replica_id, grace=30.0)
            assert running.ready() == 3
        for stream in streams:
            await stream.ended()
        assert [one.tokens for one in streams] == [wanted(one.asked) for one in streams]
        assert {one.reason for one in streams} == {FinishReason.LENGTH}


@pytest.fixture
def server() -> Iterator[RunningServer]:
    with local_server() as found:
        yield found


async def ask(server: RunningServer, key: str, model: str = MODEL, **more: Any) -> tuple[int, Any]:
    body = {"model": model, "prompt": "once", "max_tokens": 30, "seed": 1} | more
    headers = {"authorization": f"Bearer {key}"}
    url = f"{server.url}/v1/completions"
    async with (
        aiohttp.ClientSession() as session,
        session.post(url, json=body, headers=headers) as response,
    ):
        if more.get("stream"):
            return response.status, (await response.read()).decode()
        return response.status, await response.json()


def entry(name: str, key: str) -> KeyEntry:
    return KeyEntry(id=name, tenant="a", digest=f"sha256:{digest_of(key.encode()).hex()}")


@pytest.mark.fault("F16")
async def test_a_changed_configuration_holds_for_the_next_request_and_ends_none(
    server: RunningServer, tmp_path: Path
) -> None:
    first, second = new_key("k1"), new_key("k2")
    base = Config(server=ServerSection(port=server.port))
    tenant = TenantEntry(name="a")
    configs = [
        base,
        replace(base, tenants=(tenant,), keys=(entry("k1", first),)),
        replace(
            base,
            tenants=(replace(tenant, requests_per_minute=1000),),
            keys=(entry("k1", first), entry("k2", second)),
            routes=(RouteEntry(name="chat", targets=(TargetEntry(model=MODEL),)),),
        ),
        replace(base, tenants=(tenant,), keys=(entry("k2", second),)),
    ]
    reloading = Reloading(server.application.front, tmp_path)

    async def apply(old: Config, new: Config) -> None:
        own = [replace(one, model=replace(one.model, name=MODEL)) for one in (old, new)]
        planned = plan(*own)
        await asyncio.wrap_future(
            asyncio.run_coroutine_threadsafe(reloading.apply(planned.config, planned), server.loop)
        )

    server.call(server.backend.hold)
    server.call(lambda: server.backend.let_step(3))
    running = asyncio.create_task(ask(server, "anything", stream=True))
    await until(lambda: server.application.open_requests == 1)
    await apply(configs[0], configs[1])
    server.call(server.backend.release)
    status, streamed = await running
    assert (status, streamed.count("[DONE]")) == (200, 1), "it began before there were keys"
    assert (await ask(server, "anything"))[0] == 401
    assert (await ask(server, first))[0] == 200
    assert (await ask(server, first, "chat"))[0] == 404
    await apply(configs[1], configs[2])
    assert [(await ask(server, key, "chat"))[0] for key in (first, second)] == [200, 200]
    await apply(configs[2], configs[3])
    assert [(await ask(server, key))[0] for key in (first, second)] == [401, 200]
    assert (await ask(server, second, "chat"))[0] == 404
