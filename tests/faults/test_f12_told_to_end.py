"""`stoker serve` told to end: under load, twice, while loading, with clients gone (F12, F13)."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import socket
import time
from collections.abc import Callable

import aiohttp
import pytest

from tests.support.history import problems
from tests.support.http_streams import CUT, HttpStreams
from tests.support.serving_process import ServingProcess, serving_process

NAMES = [f"client {number}" for number in range(8)]
LONG = 1900


class Watched:
    """The engines of a server, to see that none outlives it."""

    def __init__(self, serving: ServingProcess) -> None:
        self._descriptors = [os.pidfd_open(pid) for pid in serving.engines()]

    def all_end(self) -> bool:
        left = set(self._descriptors)
        deadline = time.monotonic() + 5
        while left and time.monotonic() < deadline:
            left -= set(select.select(list(left), [], [], deadline - time.monotonic())[0])
        for descriptor in self._descriptors:
            os.close(descriptor)
        return not left


async def eventually(check: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not check():
            await asyncio.sleep(0.002)


@pytest.mark.fault("F12")
async def test_running_requests_finish_and_new_ones_are_sent_away_even_if_an_engine_dies() -> None:
    with serving_process("--replicas", "2", "--drain-seconds", "30") as serving:
        watched = Watched(serving)
        async with HttpStreams(serving.url) as before:
            await before.all(NAMES, 150)
        async with HttpStreams(serving.url) as streams, aiohttp.ClientSession() as session:
            load = asyncio.create_task(streams.all(NAMES, 150))
            for name in NAMES:
                await streams.has(name, 5)
            serving.send(signal.SIGTERM)
            await eventually(lambda: "draining" in serving.said())
            async with session.get(f"{serving.url}/health/ready") as response:
                assert response.status == 503
            async with session.post(f"{serving.url}/v1/completions", json={}) as response:
                assert (response.status, response.headers["connection"]) == (503, "close")
            os.kill(serving.engines()[0], signal.SIGKILL)
            await load
        assert problems(streams.history, before.texts()) == []
        assert serving.ended() == 0
        assert watched.all_end()


@pytest.mark.fault("F12")
async def test_what_outlasts_the_grace_ends_with_an_error_and_the_exit_code_is_zero() -> None:
    with serving_process("--drain-seconds", "0.2") as serving:
        watched = Watched(serving)
        async with HttpStreams(serving.url) as streams:
            load = asyncio.create_task(streams.all(NAMES, LONG))
            for name in NAMES:
                await streams.has(name, 5)
            serving.send(signal.SIGTERM)
            await load
        texts = {name: list(streams.text(name)) for name in NAMES}
        found = problems(streams.history, texts, lambda _name, code: code == "draining")
        assert found == []
        assert serving.ended(10) == 0
        assert watched.all_end()


@pytest.mark.fault("F13")
@pytest.mark.parametrize("which", [signal.SIGTERM, signal.SIGINT])
async def test_told_twice_it_ends_at_once(which: signal.Signals) -> None:
    with serving_process("--drain-seconds", "600", "--replicas", "2") as serving:
        watched = Watched(serving)
        async with HttpStreams(serving.url) as streams:
            load = asyncio.create_task(streams.all(NAMES, LONG))
            for name in NAMES:
                await streams.has(name, 5)
            serving.send(which)
            await eventually(lambda: "draining" in serving.said())
            serving.send(which)
            assert serving.ended(10) == 1
            await load
        complete = [one for one in streams.history if getattr(one, "reason", CUT) == "length"]
        assert complete == []
        assert watched.all_end()
        with socket.create_server(("127.0.0.1", serving.port)):
            pass


@pytest.mark.fault("F13")
@pytest.mark.parametrize("which", [signal.SIGTERM, signal.SIGINT])
async def test_told_while_the_model_loads_it_ends_at_once(which: signal.Signals) -> None:
    with serving_process("--replicas", "2", announced=False, load_seconds=600) as serving:
        await eventually(lambda: len(serving.engines()) == 2)
        watched = Watched(serving)
        serving.send(which)
        assert serving.ended(10) in (0, 130, -signal.SIGTERM)  # also before it can be polite
        assert watched.all_end()
        assert "Traceback" not in serving.said()


@pytest.mark.fault("F13")
async def test_clients_that_left_do_not_hold_up_the_end() -> None:
    with serving_process("--drain-seconds", "600") as serving:
        watched = Watched(serving)
        async with HttpStreams(serving.url) as streams:
            load = asyncio.create_task(streams.all(NAMES, LONG))
            for name in NAMES:
                await streams.has(name, 5)
            serving.send(signal.SIGTERM)
            await eventually(lambda: "draining" in serving.said())
            load.cancel()
            await asyncio.gather(load, return_exceptions=True)
        assert serving.ended(10) == 0
        assert watched.all_end()
