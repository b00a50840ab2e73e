"""Direct mode when a replica is away, dies, is silent or is told to end (F01, F02, F12): what the
client gets, and that what was reserved is settled in every case."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientPayloadError, ClientSession, StreamReader

from stoker.engine.interface import EngineState
from stoker.fleet import outcome_watch, remote
from stoker.gateway.usage import Usage
from stoker.gateway.usage_record import EXPIRED
from tests.support.edge_modes import RemoteGateway, fronted, ticket_key
from tests.support.gateway import tenant
from tests.support.server import MODEL
from tests.support.serving_process import ServingProcess, replica_process

TEXT = "/v1/completions"
LENGTH = 60
TENANTS = tenant("one", concurrency=1, requests_per_minute=2)
BODY = {"model": MODEL, "prompt": "Once", "max_tokens": LENGTH, "seed": 3, "ignore_eos": True}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "ASK_SECONDS", 0.02)
    monkeypatch.setattr(outcome_watch, "PAUSE_SECONDS", 0.02)


class Setup:
    def __init__(self, replica: ServingProcess, front: RemoteGateway, url: str, key: Path) -> None:
        self.replica = replica
        self.front = front
        self.url = url
        self.key = key

    def ready(self) -> None:
        self.front.until(lambda: self.front.backend.state is EngineState.READY)

    def settled(self) -> list[tuple[Usage, str]]:
        """Once nothing is reserved any more."""
        self.front.until(lambda: self.front.ledger.num_open == 0)
        return [(usage, outcome) for _, usage, outcome in self.front.ledger.settled]

    @asynccontextmanager
    async def asked(self, **fields: Any) -> AsyncIterator[tuple[int, StreamReader]]:
        """Status and body."""
        async with (
            asyncio.timeout(30),
            ClientSession(headers={"authorization": "Bearer one"}) as session,
            session.post(self.url + TEXT, json=BODY | fields) as response,
        ):
            yield response.status, response.content


@pytest.fixture
def setup(tmp_path: Path) -> Iterator[Setup]:
    key = ticket_key(tmp_path / "direct")
    with ExitStack() as stack:
        replica = stack.enter_context(replica_process(key))
        front, url = stack.enter_context(
            fronted("direct", tmp_path / "direct", replica.url, TENANTS)
        )
        found = Setup(replica, front, url, key)
        found.ready()
        yield found


@pytest.mark.fault("F01")
async def test_a_stream_whose_replica_dies_breaks_off_and_is_counted_in_full(
    setup: Setup,
) -> None:
    """No client takes it for an ending; once there is another process, nothing is reserved."""
    async with setup.asked(stream=True) as (status, events):
        assert status == 200
        first = await events.readuntil(b"\n\n")
        setup.replica.send(signal.SIGKILL)
        with pytest.raises(ClientPayloadError):
            first += await events.read()
    assert b"[DONE]" not in first
    setup.replica.ended()
    with replica_process(setup.key, setup.replica.port):
        ((usage, outcome),) = setup.settled()
        assert (usage.output_tokens, outcome) == (LENGTH, EXPIRED)
        setup.ready()
        async with setup.asked(max_tokens=3) as (status, _):
            assert status == 200


@pytest.mark.fault("F02")
async def test_a_replica_that_stays_silent_holds_no_limits_for_long(
    setup: Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outcome_watch, "SILENCE_SECONDS", 0.1)
    async with setup.asked(stream=True) as (_, events):
        await events.readuntil(b"\n\n")
        setup.replica.send(signal.SIGKILL)
        with pytest.raises(ClientPayloadError):
            await events.read()
    ((usage, outcome),) = setup.settled()
    assert (usage.output_tokens, outcome) == (LENGTH, EXPIRED)


@pytest.mark.fault("F01")
async def test_a_request_whose_replica_is_gone_is_taken_back_and_counted_once(
    setup: Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The front has not noticed yet; the client waits, and is answered by the replica's successor.
    One request at a time and two a minute are allowed, and neither limit is met."""
    monkeypatch.setattr(remote, "FAILURES", 1000)
    setup.replica.send(signal.SIGKILL)
    setup.replica.ended()
    asking = asyncio.create_task(_whole(setup))
    await asyncio.to_thread(setup.front.until, lambda: len(setup.front.ledger.settled) == 1)
    with replica_process(setup.key, setup.replica.port):
        assert await asking == LENGTH
        lost, answered = setup.settled()
        assert lost == (Usage(), "replica_lost")
        assert (answered[0].output_tokens, answered[1]) == (LENGTH, "length")
        setup.ready()
        async with setup.asked(max_tokens=3) as (status, _):
            assert status == 200
        async with setup.asked(max_tokens=3) as (status, _):
            assert status == 429


async def _whole(setup: Setup) -> int:
    async with setup.asked() as (status, body):
        assert status == 200
        answer = json.loads(await body.read())
    tokens: int = answer["usage"]["completion_tokens"]
    return tokens


@pytest.mark.fault("F12")
async def test_a_replica_told_to_end_finishes_its_streams_and_tells_of_them(setup: Setup) -> None:
    async with setup.asked(stream=True) as (_, events):
        first = await events.readuntil(b"\n\n")
        setup.replica.send(signal.SIGTERM)
        assert (first + await events.read()).endswith(b"data: [DONE]\n\n")
    ((usage, outcome),) = setup.settled()
    assert (usage.output_tokens, outcome) == (LENGTH, "length")
    assert setup.replica.ended() == 0
