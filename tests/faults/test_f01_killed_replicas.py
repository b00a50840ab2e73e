"""Replicas are killed in a loop while clients stream over HTTP: no stream fails, no token is wrong.

Three kinds of process, all real: engines that a front started, replicas that serve a front on
other machines, and a front that is killed itself (F01, F03, F04).
"""

from __future__ import annotations

import asyncio
import os
import random
import select
import signal
import socket
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import aiohttp
import pytest

from tests.support.history import Ending, problems
from tests.support.http_streams import CUT, HttpStreams
from tests.support.server import MODEL
from tests.support.serving_process import ServingProcess, replica_process, serving_process

TOKENS = 120
NAMES = [f"client {number}" for number in range(12)]
RESTARTS = "[engine]\nmax_restarts = 10000\n"


@pytest.fixture
def settings(tmp_path: Path) -> str:
    path = tmp_path / "stoker.toml"
    path.write_text(RESTARTS)
    return str(path)


async def undisturbed(url: str, names: Sequence[str] = NAMES) -> dict[str, list[str]]:
    async with HttpStreams(url) as streams:
        await streams.all(names, TOKENS)
        assert not problems(streams.history, streams.texts())
        return streams.texts()


async def rounds(streams: HttpStreams, count: int) -> None:
    """Every client asks again as soon as it has its answer; each time under another name."""

    async def client(name: str) -> None:
        for number in range(count):
            await streams.one(name, TOKENS, f"{name}/{number}")

    await asyncio.gather(*map(client, NAMES))


async def kill_in_a_loop(serving: ServingProcess, load: asyncio.Task[None], seed: int) -> int:
    """Any engine, at any moment, as long as there is load. How many were killed."""
    chosen, killed = random.Random(seed), 0
    while not load.done():
        engines = serving.engines()
        if engines:
            os.kill(chosen.choice(engines), signal.SIGKILL)
            killed += 1
        await asyncio.wait({load}, timeout=chosen.uniform(0.1, 0.6))
    return killed


@pytest.mark.fault("F01", "F03")
@pytest.mark.parametrize(
    ("again", "at_least"), [(2, 3), pytest.param(40, 40, marks=pytest.mark.slow)]
)
async def test_engines_killed_in_a_loop_under_load_cost_no_stream_and_no_token(
    settings: str, again: int, at_least: int
) -> None:
    with serving_process("--replicas", "2", "--config", settings) as serving:
        texts = await undisturbed(serving.url)
        async with HttpStreams(serving.url) as streams:
            load = asyncio.create_task(rounds(streams, again))
            killed = await kill_in_a_loop(serving, load, seed=again)
            await load
        wanted = {f"{name}/{n}": texts[name] for name in NAMES for n in range(again)}
        assert problems(streams.history, wanted) == []
        assert not streams.refusals
        assert killed >= at_least
        serving.send(signal.SIGTERM)
        assert serving.ended() == 0


@pytest.mark.fault("F03")
async def test_readiness_goes_with_the_only_engine_and_comes_back(settings: str) -> None:
    with serving_process("--config", settings, load_seconds=0.3) as serving:
        async with aiohttp.ClientSession() as session:

            async def ready() -> int:
                async with session.get(f"{serving.url}/health/ready") as response:
                    return response.status

            async def becomes(status: int) -> None:
                async with asyncio.timeout(20):
                    while await ready() != status:
                        await asyncio.sleep(0.005)

            assert await ready() == 200
            os.kill(serving.engines()[0], signal.SIGKILL)
            await becomes(503)
            await becomes(200)
        assert "the engine ended with code -9" in serving.said()


def front_settings(folder: Path, key: Path, ports: Sequence[int]) -> str:
    urls = ", ".join(f'"http://127.0.0.1:{port}"' for port in ports)
    path = folder / "front.toml"
    path.write_text(
        f'[edge]\nticket_key_file = "{key}"\n'
        f'[[models]]\nname = "{MODEL}"\nplacer = "remote"\nurls = [{urls}]\n'
    )
    return str(path)


@pytest.mark.fault("F01")
async def test_a_killed_machine_costs_no_stream_and_is_used_again_when_it_is_back(
    tmp_path: Path, key: Path
) -> None:
    with replica_process(key) as stays, ExitStack() as dying:
        dies = dying.enter_context(replica_process(key))
        port = dies.port
        path = front_settings(tmp_path, key, [stays.port, port])
        with serving_process("--config", path) as front:
            texts = await undisturbed(front.url)
            async with HttpStreams(front.url) as streams:
                load = asyncio.create_task(streams.all(NAMES, TOKENS))
                await streams.has(NAMES[0], 20)
                dies.send(signal.SIGKILL)
                await load
                assert problems(streams.history, texts) == []
            dying.close()
            with replica_process(key, port) as back:
                await is_used(front, back)


async def is_used(front: ServingProcess, replica: ServingProcess) -> None:
    """The front sends it requests again."""
    number = 0
    async with HttpStreams(front.url) as streams, asyncio.timeout(30):
        while "POST /replica/submit 200" not in replica.said():
            number += 1
            await streams.one("again", 5, f"again {number}")
        assert not streams.refusals


@pytest.mark.fault("F04")
async def test_a_killed_front_leaves_no_engine_and_no_work_and_its_port_is_free(
    tmp_path: Path, key: Path
) -> None:
    """Its own engines end by themselves, a replica elsewhere stops what it did for it."""
    with replica_process(key) as replica:
        path = front_settings(tmp_path, key, [replica.port])
        with serving_process("--config", path) as front, serving_process() as own:
            engines = [os.pidfd_open(pid) for pid in own.engines()]
            async with HttpStreams(front.url) as there, HttpStreams(own.url) as here:
                streams = [there.one("remote", 1900), here.one("local", 1900)]
                load = asyncio.gather(*streams)
                await there.has("remote", 5)
                await here.has("local", 5)
                front.send(signal.SIGKILL)
                own.send(signal.SIGKILL)
                killed = time.monotonic()
                await load
                for history in (there.history, here.history):
                    assert history[-1] == Ending(history[-1].request_id, CUT)
            ended, _, _ = select.select(engines, [], [], 5)
            for descriptor in engines:
                os.close(descriptor)
            assert len(ended) == 1
            await stops_working(replica, killed + 5)
            with socket.create_server(("127.0.0.1", own.port)):
                pass


async def stops_working(replica: ServingProcess, before: float) -> None:
    """No sequence is running there, and no block is held."""
    async with aiohttp.ClientSession() as session:
        while True:
            async with session.get(f"{replica.url}/health/progress") as response:
                progress = (await response.json())["models"][MODEL]
            if progress["running"] == 0:
                return
            assert time.monotonic() < before
            await asyncio.sleep(0.01)
