"""Replicas on a real Ray cluster of this machine: placed, waiting for a node, lost with their
actor, their node or the connection, replaced, and stopped (F01, F02)."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from stoker.config.fleet_schema import BalanceSection, ModelEntry
from stoker.config.replica_file import replica_file
from stoker.config.schema import Config
from stoker.core.clock import SystemClock
from stoker.errors import SetupError
from stoker.executor.fake import expected_tokens
from stoker.fleet import ray_cluster, ray_placer, ray_replica, remote
from stoker.fleet.interface import Replica, ReplicaState
from stoker.fleet.ray_placer import RayLaunch, RayPlacer
from stoker.gateway.balancing import Balancing
from stoker.gateway.pool import ReplicaPool
from tests.support.engine_streams import Running, request
from tests.support.process_tree import await_end, descendants, parent
from tests.support.ray_cluster import RayNodes
from tests.support.ray_cluster import ray_cluster as cluster_of_ray
from tests.support.server import MODEL
from tests.support.serving_process import SLOW
from tests.support.text import vocab_size

SETTINGS = replica_file(ModelEntry(name=MODEL, placer="ray"), MODEL, Config())
FAKE = ("-m", "tests.support.serving_process", json.dumps(SLOW), "serve", MODEL)
EXAMPLE = Path(__file__).parents[2] / "examples" / "ray" / "stoker.toml"
PATIENCE_SECONDS = 60.0
"""Ray takes seconds to start a process, and much longer on a busy machine."""


@pytest.fixture(scope="module")
def nodes() -> Iterator[RayNodes]:
    """One node with room for two replicas, and a head with room for none."""
    with cluster_of_ray() as cluster:
        cluster.add(2)
        yield cluster


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "ASK_SECONDS", 0.02)
    monkeypatch.setattr(ray_cluster, "RECONNECT_SECONDS", 0.05)
    monkeypatch.setattr(ray_placer, "FIRST_PAUSE", 0.05)


def launch(program: tuple[str, ...] = FAKE, cpus: float = 1.0) -> RayLaunch:
    return RayLaunch(resources={"CPU": cpus}, settings=SETTINGS, program=program)


@asynccontextmanager
async def pooled(nodes: RayNodes, count: int) -> AsyncIterator[tuple[ReplicaPool, RayPlacer]]:
    placer = RayPlacer(MODEL, launch(), nodes.address, SystemClock())
    pool = ReplicaPool(placer, Balancing(BalanceSection(policy="least_loaded")), SystemClock())
    try:
        await pool.start(count)
        await ready(placer, count)
        yield pool, placer
    finally:
        await pool.close()
    await_end(replica_processes(nodes))


async def until(condition: object) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not condition():  # type: ignore[operator]
            await asyncio.sleep(0.005)


async def ready(placer: RayPlacer, count: int) -> None:
    await until(lambda: states(placer) == [ReplicaState.READY] * count)


async def replaced(placer: RayPlacer, before: set[str]) -> None:
    await until(lambda: {one.replica_id for one in placer.replicas} != before)
    await ready(placer, len(before))


def states(placer: RayPlacer) -> list[ReplicaState]:
    return [one.state for one in placer.replicas]


def replica_processes(nodes: RayNodes) -> list[int]:
    """Of `stoker serve --replica`, not its engine."""
    return [pid for pid, command in descendants(nodes.pid).items() if "--replica" in command]


async def begun(pool: ReplicaPool, count: int, tokens: int = 250) -> list[Running]:
    streams = [Running(pool, request(f"r{number}", tokens)) for number in range(count)]  # type: ignore[arg-type]
    for stream in streams:
        await stream.has(3)
    return streams


async def whole(streams: list[Running]) -> None:
    for stream in streams:
        await asyncio.wait_for(stream.task, PATIENCE_SECONDS)
        asked = stream.asked
        assert stream.finish.error_code is None
        assert stream.tokens == expected_tokens(
            asked.prompt_token_ids, asked.sampling.seed, asked.sampling.max_tokens, vocab_size()
        )


@pytest.mark.fault("F01")
async def test_a_killed_replica_is_replaced_and_its_streams_go_on(nodes: RayNodes) -> None:
    async with pooled(nodes, 2) as (pool, placer):
        for victim in (lambda pid: pid, parent):  # its own process, then that of an actor
            before = {one.replica_id for one in placer.replicas}
            streams = await begun(pool, 4)
            chosen = replica_processes(nodes)[0]
            os.kill(victim(chosen), signal.SIGKILL)
            await whole(streams)
            await replaced(placer, before)
            await_end([chosen])


@pytest.mark.fault("F01")
async def test_a_replica_of_a_dead_node_waits_for_another_node_and_says_so(
    nodes: RayNodes, caplog: pytest.LogCaptureFixture
) -> None:
    async with pooled(nodes, 2) as (pool, placer):
        extra: Replica = placer.start()
        await until(lambda: extra.waits_for == "no node has 1 CPU free")  # type: ignore[attr-defined]
        old = set(replica_processes(nodes))
        number = nodes.add(1)
        await ready(placer, 3)
        streams = await begun(pool, 6)
        (there,) = set(replica_processes(nodes)) - old
        nodes.remove(number)
        await whole(streams)
        await until(lambda: extra not in placer.replicas)
        await_end([there])
        (heir,) = [one for one in placer.replicas if one.state is not ReplicaState.READY]
        await until(lambda: heir.waits_for == "no node has 1 CPU free")  # type: ignore[attr-defined]
        assert heir.state is ReplicaState.STARTING
        await placer.stop(heir.replica_id, 0.0)
        assert states(placer) == [ReplicaState.READY] * 2
    assert "waits for a place: no node has 1 CPU free" in caplog.text


async def test_what_no_node_could_ever_hold_is_called_that(nodes: RayNodes) -> None:
    placer = RayPlacer(MODEL, launch(cpus=64), nodes.address, SystemClock())
    opening = asyncio.create_task(placer.open(1))
    try:
        await until(lambda: [one.waits_for for one in placer.replicas if one.waits_for])
        assert placer.replicas[0].waits_for == "no node has 64 CPU; one must be added"
        assert not opening.done()
    finally:
        opening.cancel()
        await asyncio.gather(opening, return_exceptions=True)
        await placer.close()


async def test_a_replica_that_is_stopped_ends_its_streams_first(nodes: RayNodes) -> None:
    async with pooled(nodes, 2) as (pool, placer):
        (stream,) = await begun(pool, 1, tokens=700)
        (leaving,) = [one for one in placer.replicas if pool.in_flight(one.replica_id)]
        stopping = asyncio.create_task(placer.stop(leaving.replica_id, PATIENCE_SECONDS))
        await asyncio.sleep(0)
        assert leaving.state is ReplicaState.DRAINING
        await stopping
        assert stream.task.done()
        await whole([stream])
        assert states(placer) == [ReplicaState.READY]
        assert len(replica_processes(nodes)) == 1


@pytest.mark.fault("F02")
async def test_a_lost_connection_to_ray_ends_its_replicas_and_others_start(
    nodes: RayNodes,
) -> None:
    async with pooled(nodes, 1) as (pool, placer):
        streams = await begun(pool, 2)
        before = replica_processes(nodes)
        (driver,) = [pid for pid, text in descendants(os.getpid()).items() if "ray_driver" in text]
        os.kill(driver, signal.SIGKILL)
        await whole(streams)
        await ready(placer, 1)
        await_end(before)


async def test_a_replica_that_cannot_start_says_why(nodes: RayNodes) -> None:
    program = ("-m", "stoker", "serve", "no-such-model-anywhere")
    placer = RayPlacer(MODEL, launch(program), nodes.address, SystemClock())
    try:
        with pytest.raises(SetupError, match="no-such-model-anywhere"):
            await placer.open(1)
    finally:
        await placer.close()


async def test_without_a_cluster_it_is_said_where_none_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_cluster, "CONNECT_SECONDS", 0.5)
    placer = RayPlacer(MODEL, launch(), "127.0.0.1:9", SystemClock())
    try:
        with pytest.raises(SetupError, match=r"no Ray cluster answers at '127\.0\.0\.1:9'"):
            await placer.open(1)
    finally:
        await placer.close()


@pytest.mark.fault("F02")
async def test_a_silent_replica_is_ended_and_replaced(
    nodes: RayNodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "PATIENCE_SECONDS", 0.5)
    monkeypatch.setattr(ray_replica, "SILENT_SECONDS", 0.1)
    async with pooled(nodes, 2) as (pool, placer):
        streams = await begun(pool, 4)
        before = {one.replica_id for one in placer.replicas}
        chosen = replica_processes(nodes)[0]
        os.kill(chosen, signal.SIGSTOP)
        await whole(streams)
        await replaced(placer, before)
        await_end([chosen])


@pytest.mark.model
async def test_the_example_serves_and_leaves_nothing_behind(nodes: RayNodes) -> None:
    """`stoker serve` itself, with its replicas' real command line and a real model."""
    environment = {**os.environ, "RAY_ADDRESS": nodes.address}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "stoker", "serve", "--config", str(EXAMPLE), "--port", "0"),
        stdout=asyncio.subprocess.PIPE,
        env=environment,
    )
    try:
        assert process.stdout is not None
        said = (await asyncio.wait_for(process.stdout.readline(), PATIENCE_SECONDS)).decode()
        url = said.partition("served at ")[2].split()[0]
        body = {"model": "small", "prompt": "The sea", "max_tokens": 4, "ignore_eos": True}
        async with (
            aiohttp.ClientSession() as client,
            client.post(f"{url}/v1/completions", json=body) as response,
        ):
            assert response.status == 200, await response.text()
            assert (await response.json())["usage"]["completion_tokens"] == 4
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), PATIENCE_SECONDS) == 0
        assert not replica_processes(nodes)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
