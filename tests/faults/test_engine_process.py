"""Engines that are killed, stopped, stuck or orphaned (F02-F04, F12, F13, F22).

Real processes over the fake executor, whose tokens are a function of the request alone, so a
stream that went on wrongly after a restart shows.
"""

from __future__ import annotations

import asyncio
import math
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from stoker import errors
from stoker.core.ids import RequestId
from stoker.core.output import FinishReason
from stoker.core.sampling import SamplingParams
from stoker.engine.client import EngineClient
from stoker.engine.frames import EngineSettings
from stoker.engine.interface import EngineState
from stoker.executor.fake import FakeOptions
from tests.support import leaks
from tests.support.engine_streams import Running, kill, request, started, wanted


@pytest.fixture(autouse=True)
async def check_for_leaks() -> AsyncIterator[None]:
    async with leaks.nothing_left_behind():
        yield


@pytest.mark.fault("F03")
async def test_a_killed_engine_does_not_end_its_streams() -> None:
    client = await started()
    streams = [Running(client, request(f"stream {i}")) for i in range(6)]
    for stream in streams:
        await stream.has(10)
    first = client.pid
    kill(client)
    await asyncio.gather(*(stream.task for stream in streams))
    assert client.pid != first
    for stream in streams:
        assert stream.tokens == wanted(stream.asked)
        assert stream.reason is FinishReason.LENGTH
    await client.close()


@pytest.mark.fault("F03")
async def test_killed_twice_in_a_row() -> None:
    client = await started()
    stream = Running(client, request("twice", 120))
    for progress in (10, 60):
        await stream.has(progress)
        kill(client)
    await stream.task
    assert stream.tokens == wanted(stream.asked)
    assert client.num_restarts == 2
    await client.close()


@pytest.mark.fault("F03")
async def test_a_request_that_arrives_during_a_restart_is_served() -> None:
    client = await started()
    stream = Running(client, request("before"))
    await stream.has(5)
    kill(client)
    while client.state is not EngineState.RESTARTING:
        await asyncio.sleep(0)
    late = Running(client, request("during the restart"))
    await asyncio.gather(stream.task, late.task)
    assert late.tokens == wanted(late.asked)
    await client.close()


@pytest.mark.fault("F03")
async def test_an_engine_killed_while_idle_is_replaced() -> None:
    client = await started()
    kill(client)
    while client.state is not EngineState.RESTARTING:
        await asyncio.sleep(0)
    stream = Running(client, request("afterwards", 5))
    await stream.task
    assert stream.tokens == wanted(stream.asked)
    await client.close()


@pytest.mark.fault("F02")
async def test_a_stopped_engine_is_noticed_and_replaced() -> None:
    client = await started(stuck_after=0.6)
    stream = Running(client, request("stopped"))
    await stream.has(10)
    kill(client, signal.SIGSTOP)
    await stream.ended()
    assert stream.tokens == wanted(stream.asked)
    await client.close()


@pytest.mark.fault("F02")
async def test_a_step_that_never_ends_is_noticed() -> None:
    settings = EngineSettings(executor="fake", fake=FakeOptions(step_seconds=3600))
    client = EngineClient(settings, max_restarts=1, stuck_after=0.4)
    await client.start()
    stream = Running(client, request("x"))
    await stream.ended()
    assert stream.reason is FinishReason.ERROR
    assert client.state is EngineState.STOPPED
    await client.close()


@pytest.mark.fault("F03")
async def test_when_the_engine_dies_too_often_every_stream_ends_once() -> None:
    client = await started(max_restarts=0)
    streams = [Running(client, request(f"doomed {i}")) for i in range(3)]
    for stream in streams:
        await stream.has(3)
    kill(client)
    await asyncio.gather(*(stream.task for stream in streams))
    for stream in streams:
        assert stream.reason is FinishReason.ERROR
        finish = stream.endings[0].finish
        assert finish is not None
        assert finish.error_code == "replica_lost"
    with pytest.raises(errors.NoCapacity):
        await anext(client.submit(request("too late")))
    await client.close()


@pytest.mark.fault("F12")
async def test_draining_lets_running_streams_finish_and_refuses_new_ones() -> None:
    client = await started()
    stream = Running(client, request("running"))
    await stream.has(3)
    drained = asyncio.create_task(client.drain(20))
    while client.state is not EngineState.DRAINING:
        await asyncio.sleep(0)
    with pytest.raises(errors.Draining):
        await anext(client.submit(request("new")))
    await drained
    await stream.task
    assert stream.tokens == wanted(stream.asked)
    await client.close()


@pytest.mark.fault("F12")
async def test_a_drain_ends_what_outlasts_its_grace() -> None:
    client = await started()
    stream = Running(client, request("long", 4000))
    await stream.has(3)
    await client.drain(0.05)
    await stream.task
    assert stream.reason is FinishReason.ERROR
    await client.close()


@pytest.mark.fault("F06")
async def test_closing_a_stream_early_returns_its_blocks() -> None:
    client = await started()
    deltas = client.submit(request("left alone", 4000))
    await anext(deltas)
    steps = client.load.num_steps
    await deltas.aclose()  # type: ignore[attr-defined]
    witness = Running(client, request("witness", 5))
    await witness.task
    assert client.load.used_blocks <= 1
    assert client.load.num_steps <= steps + 3 + 5 + 1
    await client.close()


async def test_cancel_gives_one_ending() -> None:
    client = await started()
    stream = Running(client, request("cancelled", 4000))
    await stream.has(3)
    client.cancel(stream.asked.request_id)
    client.cancel(stream.asked.request_id)
    client.cancel(RequestId("nobody"))
    await stream.task
    assert stream.reason is FinishReason.CANCELLED
    await client.close()


async def test_a_request_that_can_never_fit_is_refused_at_once() -> None:
    client = await started()
    with pytest.raises(errors.ContextLengthExceeded, match="4096"):
        await anext(client.submit(request("huge", 5000)))
    await client.close()


@pytest.mark.parametrize(
    "change",
    [
        {"sampling": SamplingParams(seed=2**70)},
        {"sampling": SamplingParams(temperature=math.nan)},
        {"tenant": "\ud800"},
        {"tenant": 5j},
        {"prompt_token_ids": (5000,)},
        {"timeout": math.nan},
    ],
)
async def test_a_request_that_cannot_be_sent_is_refused_and_leaves_nothing(
    change: dict[str, Any],
) -> None:
    client = await started()
    with pytest.raises(errors.InvalidRequest):
        await anext(client.submit(msgspec.structs.replace(request("wrong"), **change)))
    await asyncio.wait_for(client.drain(3600), 10)
    await client.close()


@pytest.mark.fault("F07")
async def test_a_slow_consumer_holds_one_merged_delta() -> None:
    client = await started()
    slow = client.submit(request("slow", 40))
    first = await anext(slow)
    witness = Running(client, request("witness", 60))
    await witness.task  # meanwhile the slow one finished in the engine
    rest = await anext(slow)
    assert [*first.token_ids, *rest.token_ids] == wanted(request("slow", 40))
    assert rest.finish is not None
    await slow.aclose()  # type: ignore[attr-defined]
    await client.close()


async def test_a_model_that_does_not_exist_fails_the_start_with_its_reason() -> None:
    client = EngineClient(EngineSettings(model_path="/nonexistent/model.gguf"))
    with pytest.raises(errors.SetupError, match="No such file"):
        await client.start()
    assert client.state is EngineState.STOPPED


ORPHAN = """
import asyncio
from stoker.engine.client import EngineClient
from stoker.engine.frames import EngineSettings

async def main():
    client = EngineClient(EngineSettings(executor="fake"))
    await client.start()
    print(client.pid, flush=True)
    await asyncio.sleep(3600)

asyncio.run(main())
"""


@pytest.mark.fault("F04")
def test_an_engine_whose_front_is_killed_ends_by_itself() -> None:
    front = subprocess.Popen([sys.executable, "-c", ORPHAN], stdout=subprocess.PIPE)
    assert front.stdout is not None
    engine = int(front.stdout.readline())
    watched = os.pidfd_open(engine)
    front.kill()
    front.wait()
    front.stdout.close()
    import select

    ended, _, _ = select.select([watched], [], [], 5)
    os.close(watched)
    assert ended, "the engine outlived its front by five seconds"


@pytest.mark.fault("F13")
@pytest.mark.parametrize("which", [signal.SIGINT, signal.SIGTERM])
async def test_the_front_decides_when_an_engine_ends(which: signal.Signals) -> None:
    """A Ctrl-C in a terminal reaches the engine too; it must not die before its front drains."""
    client = await started()
    stream = Running(client, request("undisturbed"))
    await stream.has(3)
    kill(client, which)
    await stream.task
    assert stream.tokens == wanted(stream.asked)
    assert client.num_restarts == 0
    await client.close()


async def test_the_socket_folder_is_private_and_gone_once_connected() -> None:
    before = leaks.socket_folders()
    client = await started()
    assert leaks.socket_folders() == before
    await client.close()
