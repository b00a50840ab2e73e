"""Replicas on other machines: cut off at any byte, gone, silent, of another version, and back
again (F01, F02, F08, F18, F22)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from msgspec.structs import replace

from stoker.config.fleet_schema import BalanceSection
from stoker.core.clock import SystemClock
from stoker.core.output import FinishReason
from stoker.engine.interface import EngineState
from stoker.errors import ReplicaLost
from stoker.executor.fake import expected_tokens
from stoker.fleet import remote
from stoker.fleet.interface import ReplicaState
from stoker.fleet.remote import RemoteBackend
from stoker.fleet.remote_placer import RemotePlacer
from stoker.fleet.replica_protocol import MINE, REPORT_PATH, TICKET_HEADER, VERSION_HEADER
from stoker.fleet.ticket import Ticket, sign
from stoker.gateway.balancing import Balancing
from stoker.gateway.pool import ReplicaPool
from tests.support.engine_streams import Running, request, until
from tests.support.server import MODEL, RunningServer, replica_server
from tests.support.text import vocab_size
from tests.support.toxic_proxy import CHUNK, ToxicProxy, toxic_proxy

KEY = "k" * 40


@pytest.fixture(scope="module")
def key_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("key") / "ticket.key"
    path.write_text(KEY + "\n")
    return path


@pytest.fixture(scope="module")
def replica(key_file: Path) -> Iterator[RunningServer]:
    with replica_server(key_file) as running:
        yield running


@pytest.fixture(scope="module")
def other(key_file: Path) -> Iterator[RunningServer]:
    with replica_server(key_file) as running:
        yield running


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "ASK_SECONDS", 0.02)
    monkeypatch.setattr(remote, "PATIENCE_SECONDS", 0.5)


@asynccontextmanager
async def connected(url: str, key: str = KEY) -> AsyncIterator[RemoteBackend]:
    async with aiohttp.ClientSession() as session:
        backend = RemoteBackend(
            url, MODEL, key.encode(), session, SystemClock(), changed=lambda: None
        )
        try:
            yield backend
        finally:
            await backend.close()


@asynccontextmanager
async def pooled(*ports: int) -> AsyncIterator[tuple[ReplicaPool, list[ToxicProxy]]]:
    """A pool over replicas that are each behind a proxy."""
    async with AsyncExitStack() as stack:
        proxies = [await stack.enter_async_context(toxic_proxy(port)) for port in ports]
        clock = SystemClock()
        placer = RemotePlacer([one.url for one in proxies], MODEL, KEY.encode(), clock)
        pool = ReplicaPool(placer, Balancing(BalanceSection(policy="least_loaded")), clock)
        stack.push_async_callback(pool.close)
        await pool.start()
        await until(
            lambda: [one.state for one in placer.replicas] == [ReplicaState.READY] * len(ports)
        )
        yield pool, proxies


def wanted(running: Running) -> list[int]:
    asked = running.asked
    return expected_tokens(
        asked.prompt_token_ids, asked.sampling.seed, asked.sampling.max_tokens, vocab_size()
    )


async def test_tokens_come_as_from_an_engine_next_door(replica: RunningServer) -> None:
    async with connected(replica.url) as backend:
        await backend.seen.wait()
        stream = Running(backend, request("remote", 40))  # type: ignore[arg-type]
        await stream.ended()
        assert stream.tokens == wanted(stream)
        assert stream.reason is FinishReason.LENGTH


@pytest.mark.fault("F08")
@pytest.mark.parametrize("step", [13, pytest.param(1, marks=pytest.mark.slow)])
async def test_a_stream_cut_at_any_byte_is_a_beginning_and_a_loss(
    replica: RunningServer, step: int
) -> None:
    """Frames are never joined wrongly, however a connection ends."""
    async with toxic_proxy(replica.port) as proxy, connected(replica.url) as well:
        await well.seen.wait()
        whole = Running(well, request("cut", 8))  # type: ignore[arg-type]
        await whole.ended()
        lost = 0
        for cut in range(0, 2600, step):
            proxy.toxic.cut_after = None
            async with aiohttp.ClientSession() as session:
                backend = RemoteBackend(
                    proxy.url, MODEL, KEY.encode(), session, SystemClock(), changed=lambda: None
                )
                backend.state = EngineState.READY
                proxy.toxic.cut_after, proxy.toxic.reset = cut, cut % 2 == 0
                stream = Running(backend, request("cut", 8))  # type: ignore[arg-type]
                await stream.ended()
                await backend.close()
            assert stream.tokens == whole.tokens[: len(stream.tokens)]
            if stream.finish.error_code == ReplicaLost.code:
                lost += 1
            else:
                assert stream.tokens == whole.tokens
        assert lost > 50


@pytest.mark.fault("F08")
@pytest.mark.parametrize(("size", "delay"), [(1, 0.0), (64, 0.001), (CHUNK, 0.02)])
async def test_a_network_that_is_slow_or_cuts_into_pieces_is_only_slow(
    replica: RunningServer, size: int, delay: float
) -> None:
    async with toxic_proxy(replica.port) as proxy:
        proxy.toxic.slice, proxy.toxic.delay = size, delay
        async with connected(proxy.url) as backend:
            await backend.seen.wait()
            stream = Running(backend, request("slices", 6))  # type: ignore[arg-type]
            await stream.ended()
            assert stream.tokens == wanted(stream)


@pytest.mark.fault("F01")
async def test_streams_of_a_replica_that_is_gone_go_on_at_another(
    replica: RunningServer, other: RunningServer
) -> None:
    async with pooled(replica.port, other.port) as (pool, proxies):
        streams = [Running(pool, request(f"g{number}", 400)) for number in range(6)]  # type: ignore[arg-type]
        for stream in streams:
            await stream.has(3)
        proxies[0].kill()
        for stream in streams:
            await stream.ended()
            assert stream.finish.error_code is None
            assert stream.tokens == wanted(stream)


@pytest.mark.fault("F08")
async def test_a_silent_replica_loses_its_streams_and_gets_work_again_when_it_is_back(
    replica: RunningServer, other: RunningServer
) -> None:
    async with pooled(replica.port, other.port) as (pool, proxies):
        streams = [Running(pool, request(f"q{number}", 400)) for number in range(4)]  # type: ignore[arg-type]
        for stream in streams:
            await stream.has(3)
        proxies[0].toxic.swallow = True
        for stream in streams:
            await stream.ended()
            assert stream.tokens == wanted(stream)
        proxies[0].toxic.swallow = False
        await until(lambda: len(pool._replicas.taking(())) == 2)


@pytest.mark.fault("F06")
async def test_a_client_that_leaves_ends_the_work_over_there(replica: RunningServer) -> None:
    async with connected(replica.url) as backend:
        await backend.seen.wait()
        stream = Running(backend, request("left", 1900))  # type: ignore[arg-type]
        await stream.has(3)
        stream.task.cancel()
        await asyncio.gather(stream.task, return_exceptions=True)
        await until(lambda: replica.backend.engine.load().num_running == 0)


async def test_without_a_good_ticket_a_replica_answers_nobody(replica: RunningServer) -> None:
    ticket = Ticket(request_id="r/1", tenant="", model=MODEL, max_tokens=1, expires=4e9)
    forged = sign(ticket, b"other" * 10)
    async with aiohttp.ClientSession() as session:
        for headers in ({}, {TICKET_HEADER: forged}, {TICKET_HEADER: "1.e30.x"}):
            async with session.get(replica.url + REPORT_PATH, headers=headers) as response:
                assert response.status == 403
        for path in ("/v1/models", "/v1/chat/completions", "/tokenize"):
            async with session.get(replica.url + path) as response:
                assert response.status == 404


@pytest.mark.fault("F22")
async def test_another_version_is_refused_with_both_named(replica: RunningServer) -> None:
    ticket = Ticket(request_id="r/2", tenant="", model=MODEL, max_tokens=1, expires=4e9)
    headers = {TICKET_HEADER: sign(ticket, KEY.encode()), VERSION_HEADER: "9/9.9.9"}
    async with (
        aiohttp.ClientSession() as session,
        session.get(replica.url + REPORT_PATH, headers=headers) as response,
    ):
        message = (await response.json())["error"]["message"]
    assert response.status == 400
    assert "9/9.9.9" in message
    assert MINE in message


async def test_a_wrong_key_is_said_once_and_the_replica_not_used(
    replica: RunningServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with connected(replica.url, "wrong" * 10) as backend:
        await until(lambda: backend._failures > 3)
        assert backend.state is EngineState.LOADING
    assert sum("cannot be used" in record.message for record in caplog.records) == 1


@pytest.mark.fault("F18")
async def test_replicas_come_and_go_with_the_addresses_of_a_name(
    replica: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from stoker.fleet import remote_placer

    monkeypatch.setattr(remote_placer, "LOOK_UP_SECONDS", 0.01)
    addresses = ["127.0.0.1"]
    asked = 0

    async def look_up(host: str, port: int) -> list[str]:
        nonlocal asked
        asked += 1
        assert (host, port) == ("replicas.example", replica.port)
        if not addresses:
            raise OSError("no name server")
        return list(addresses)

    url = f"http://replicas.example:{replica.port}"
    placer = RemotePlacer([url], MODEL, KEY.encode(), SystemClock(), look_up)
    try:
        await placer.open(1)
        addresses.append("127.9.9.9")  # where nobody answers
        await until(lambda: len(placer.replicas) == 2)
        addresses.clear()
        so_far = asked
        await until(lambda: asked > so_far + 2)
        assert len(placer.replicas) == 2, "a name server that is away takes no replica with it"
        addresses.append("127.0.0.1")
        await until(lambda: len(placer.replicas) == 1)
    finally:
        await placer.close()


def test_a_ticket_is_for_one_request_only() -> None:
    from stoker.api.replica import allowed
    from stoker.errors import PermissionDenied

    asked = request("mine", 10)
    ticket = Ticket(request_id="mine/1", tenant="", model=MODEL, max_tokens=10, expires=1.0)
    assert allowed(asked, ticket) is asked
    for wrong in (
        replace(ticket, tenant="other"),
        replace(ticket, max_tokens=9),
        replace(ticket, request_id="yours/1"),
    ):
        with pytest.raises(PermissionDenied):
            allowed(asked, wrong)
