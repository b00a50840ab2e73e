"""Names of replicas that are unknown, change, or lead to a dead machine (F18)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from stoker.core.output import FinishReason
from stoker.fleet import remote, remote_placer
from stoker.fleet.interface import ReplicaState
from tests.support.engine_streams import Running, request, until
from tests.support.pools import ready, remote_pool
from tests.support.server import RunningServer, replica_server

NAME = "replicas.example"
SECRET = b"k" * 40


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "ASK_SECONDS", 0.02)
    monkeypatch.setattr(remote_placer, "LOOK_UP_SECONDS", 0.02)


@pytest.fixture
def replica(key: Path) -> Iterator[RunningServer]:
    with replica_server(key) as running:
        yield running


class Names:
    """A name server that can be away. Addresses other than 127.0.0.1 have nobody listening."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = list(addresses)
        self.away = False
        self.asked = 0

    async def look_up(self, host: str, port: int) -> list[str]:
        self.asked += 1
        if self.away:
            raise OSError("no name server")
        return list(self.addresses)


async def served(pool: object, count: int = 6) -> None:
    streams = [Running(pool, request(f"n{number}", 10)) for number in range(count)]  # type: ignore[arg-type]
    for stream in streams:
        await stream.ended()
        assert stream.reason is FinishReason.LENGTH


@pytest.mark.fault("F18")
async def test_an_address_where_nobody_answers_gets_nothing(replica: RunningServer) -> None:
    names = Names("127.0.0.1", "127.0.0.9")
    url = f"http://{NAME}:{replica.port}"
    async with remote_pool([url], SECRET, look_up=names.look_up) as pool:
        await until(lambda: len(pool.replicas) == 2)
        await served(pool)
        assert ready(pool) == 1


@pytest.mark.fault("F18")
async def test_a_name_server_that_is_away_changes_nothing(replica: RunningServer) -> None:
    names = Names("127.0.0.1")
    url = f"http://{NAME}:{replica.port}"
    async with remote_pool([url], SECRET, look_up=names.look_up) as pool:
        names.away = True
        asked = names.asked
        await until(lambda: names.asked > asked + 2)
        await served(pool)
        assert [one.state for one in pool.replicas] == [ReplicaState.READY]


@pytest.mark.fault("F18")
async def test_a_name_without_an_address_is_asked_until_it_has_one(replica: RunningServer) -> None:
    names = Names()
    names.away = True
    url = f"http://{NAME}:{replica.port}"

    async def give_one() -> None:
        await until(lambda: names.asked > 2)
        names.away, names.addresses = False, ["127.0.0.1"]

    giving = asyncio.create_task(give_one())
    async with remote_pool([url], SECRET, look_up=names.look_up) as pool:
        await served(pool)
    await giving
