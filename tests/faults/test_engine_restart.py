"""Deaths at awkward moments: while loading, draining or starting, and again and again."""

from __future__ import annotations

import asyncio
import signal
import tempfile
import time
from collections.abc import AsyncIterator

import pytest
import uvloop

from stoker import errors
from stoker.core.clock import SystemClock
from stoker.core.output import FinishReason
from stoker.engine.client import EngineClient
from stoker.engine.frames import EngineSettings
from stoker.engine.interface import EngineState
from stoker.executor.fake import FakeOptions
from tests.support import leaks
from tests.support.engine_streams import SLOW, Running, kill, request, started, until, wanted

uvloop.new_event_loop().close()  # the first one opens a pipe that stays for good


@pytest.fixture(autouse=True)
async def check_for_leaks() -> AsyncIterator[None]:
    async with leaks.nothing_left_behind():
        yield


def loading_slowly(seconds: float, step_seconds: float = 0.005) -> EngineSettings:
    return EngineSettings(
        executor="fake", fake=FakeOptions(load_seconds=seconds, step_seconds=step_seconds)
    )


@pytest.mark.fault("F13")
async def test_killed_during_the_first_load_start_says_so() -> None:
    client = EngineClient(loading_slowly(60))
    starting = asyncio.create_task(client.start())
    await until(lambda: client.pid)
    kill(client)
    with pytest.raises(errors.ReplicaLost, match="code -9 while loading"):
        await starting
    assert client.state is EngineState.STOPPED


@pytest.mark.fault("F02")
async def test_hanging_during_the_first_load_is_noticed() -> None:
    client = EngineClient(loading_slowly(60), stuck_after=0.1)
    starting = asyncio.create_task(client.start())
    await until(lambda: client.pid)
    kill(client, signal.SIGSTOP)
    with pytest.raises(errors.ReplicaLost):
        await asyncio.wait_for(starting, 20)


@pytest.mark.fault("F13")
async def test_closed_while_loading_ends_at_once() -> None:
    client = EngineClient(loading_slowly(60))
    starting = asyncio.create_task(client.start())
    await until(lambda: client.pid)
    before = time.monotonic()
    await client.close()
    assert time.monotonic() - before < 1.5
    with pytest.raises(errors.NoCapacity):
        await starting


@pytest.mark.fault("F03")
async def test_killed_while_it_loads_again() -> None:
    client = await started(loading_slowly(0.3))
    stream = Running(client, request("stream"))
    await stream.has(5)
    for _ in range(2):
        before = client.pid
        kill(client)
        await until(lambda: client.pid not in (None, before))  # noqa: B023 - awaited here
        assert client.state is EngineState.RESTARTING
    await stream.ended()
    assert stream.tokens == wanted(stream.asked)
    assert client.num_restarts == 2
    await client.close()


@pytest.mark.fault("F03")
async def test_killed_while_draining_the_streams_finish_and_no_new_one_begins() -> None:
    client = await started()
    stream = Running(client, request("running"))
    await stream.has(5)
    drained = asyncio.create_task(client.drain(20))
    await until(lambda: client.state is EngineState.DRAINING)
    first = client.pid
    kill(client)
    await stream.has(30)
    assert client.pid != first
    assert client.state is EngineState.DRAINING
    with pytest.raises(errors.Draining):
        await anext(client.submit(request("new")))
    await drained
    await stream.ended()
    assert stream.tokens == wanted(stream.asked)
    await client.close()


@pytest.mark.fault("F02")
async def test_stuck_while_draining_is_still_draining() -> None:
    client = await started(stuck_after=0.4)
    stream = Running(client, request("running"))
    await stream.has(5)
    drained = asyncio.create_task(client.drain(20))
    await until(lambda: client.state is EngineState.DRAINING)
    kill(client, signal.SIGSTOP)
    await drained
    assert client.state is EngineState.DRAINING
    assert client.num_restarts == 1
    await stream.ended()
    assert stream.tokens == wanted(stream.asked)
    await client.close()


@pytest.mark.fault("F03")
async def test_all_that_were_accepted_survive_though_they_exceed_the_waiting_room() -> None:
    settings = EngineSettings(
        executor="fake", max_running=2, max_waiting=3, fake=FakeOptions(step_seconds=0.005)
    )
    client = await started(settings)
    streams = [Running(client, request(f"running {i}", 40)) for i in range(2)]
    for stream in streams:
        await stream.has(1)
    streams += [Running(client, request(f"waiting {i}", 10)) for i in range(3)]
    await until(lambda: client.load.num_waiting == 3)
    with pytest.raises(errors.Overloaded):
        await anext(client.submit(request("one too many")))
    kill(client)
    for stream in streams:
        await stream.ended()
        assert stream.tokens == wanted(stream.asked)
    await client.close()


@pytest.mark.fault("F03")
async def test_a_request_that_kills_every_engine_does_not_take_the_server_along() -> None:
    settings = EngineSettings(executor="fake", fake=FakeOptions(deadly_token=ord("!")))
    client = await started(settings)
    poison = Running(client, request("poison!"))
    await poison.ended()
    assert poison.finish.error_code == "replica_lost"
    harmless = Running(client, request("harmless"))
    await harmless.ended()
    assert harmless.tokens == wanted(harmless.asked)
    assert client.num_restarts == 3
    await client.close()


@pytest.mark.fault("F03")
async def test_requests_computed_beside_a_deadly_one_are_not_given_up_with_it() -> None:
    settings = EngineSettings(executor="fake", fake=FakeOptions(deadly_token=ord("!")))
    client = await started(settings)
    # All are submitted before the engine begins its first step, so all are in the one that dies.
    together = [Running(client, request(f"harmless {i}", 5)) for i in range(6)]
    poison = Running(client, request("poison!"))
    together += [Running(client, request(f"harmless too {i}", 5)) for i in range(6)]
    await poison.ended()
    assert poison.finish.error_code == "replica_lost"
    for stream in together:
        await stream.ended()
        assert stream.tokens == wanted(stream.asked)
    assert client.num_restarts == 3
    await client.close()


@pytest.mark.fault("F03")
async def test_requests_that_only_waited_are_not_blamed_for_dead_engines() -> None:
    settings = EngineSettings(
        executor="fake", max_running=1, fake=FakeOptions(step_seconds=0.005, max_context=100_000)
    )
    client = await started(settings)
    running = Running(client, request("running", 4000))
    await running.has(1)
    waiting = [Running(client, request(f"waiting {i}", 3)) for i in range(4)]
    for _ in range(4):
        await until(lambda: client.load.num_waiting == 4)
        progress = len(running.tokens)
        kill(client)
        await running.has(progress + 1)
    client.cancel(running.asked.request_id)
    for stream in waiting:
        await stream.ended()
        assert stream.tokens == wanted(stream.asked)
    await running.ended()
    await client.close()


async def test_a_deadline_holds_while_there_is_no_engine() -> None:
    client = await started(loading_slowly(0.0))
    kill(client, signal.SIGSTOP)
    stream = Running(client, request("late", timeout=0.2))
    await stream.ended()
    assert stream.reason is FinishReason.DEADLINE
    assert client.num_restarts == 0
    await client.close()


async def test_cancelled_while_there_is_no_engine() -> None:
    client = await started(loading_slowly(0.3))
    stream = Running(client, request("cancelled"))
    await stream.has(3)
    kill(client)
    await until(lambda: client.state is EngineState.RESTARTING)
    client.cancel(stream.asked.request_id)
    await stream.ended()
    assert stream.reason is FinishReason.CANCELLED
    assert client.state is EngineState.RESTARTING
    await client.close()


async def test_closed_at_the_moment_an_engine_died_nothing_is_left() -> None:
    client = await started()
    kill(client)
    while client.state is not EngineState.RESTARTING:
        await asyncio.sleep(0)
    await client.close()  # the supervisor was just clearing away what died


async def test_a_cancel_that_the_engine_never_answers_still_ends_the_stream() -> None:
    client = await started(stuck_after=0.4)
    stream = Running(client, request("cancelled", 4000))
    await stream.has(3)
    kill(client, signal.SIGSTOP)
    client.cancel(stream.asked.request_id)
    await stream.ended()
    assert stream.reason is FinishReason.CANCELLED
    await client.close()


async def test_a_step_as_long_as_foreseen_is_not_mistaken_for_a_stuck_one() -> None:
    client = await started(loading_slowly(0.0, step_seconds=0.6), stuck_after=0.2)
    stream = Running(client, request("a prompt of thirty characters.", 1))
    await stream.ended()
    assert stream.tokens == wanted(stream.asked)
    assert client.num_restarts == 0
    await client.close()


class HeldUpClock(SystemClock):
    """Of a front that was stopped for `held_up` seconds; counts how often it is read."""

    held_up = 0.0
    reads = 0

    def monotonic(self) -> float:
        self.reads += 1
        return super().monotonic() + self.held_up


@pytest.mark.fault("F02")
async def test_a_front_that_was_held_up_does_not_blame_its_engine() -> None:
    clock = HeldUpClock()
    client = EngineClient(SLOW, stuck_after=2.0, clock=clock)
    await client.start()
    stream = Running(client, request("undisturbed", 100))
    await stream.has(3)
    kill(client, signal.SIGSTOP)  # nothing it said meanwhile must be what saves it
    clock.held_up = 3600.0
    reads = clock.reads
    await until(lambda: clock.reads > reads)  # the watchdog has noticed that time
    kill(client, signal.SIGCONT)
    await stream.ended()
    assert stream.tokens == wanted(stream.asked)
    assert client.num_restarts == 0
    await client.close()


async def test_no_engine_can_be_started_is_an_error_not_a_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/nonexistent")
    client = EngineClient(EngineSettings(executor="fake"))
    with pytest.raises(errors.SetupError, match="cannot be started: No such file"):
        await asyncio.wait_for(client.start(), 5)


async def test_no_engine_can_be_started_again_ends_every_stream_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client = await started(max_restarts=2)
    stream = Running(client, request("doomed"))
    await stream.has(3)
    monkeypatch.setattr(tempfile, "tempdir", "/nonexistent")
    kill(client)
    await stream.ended()
    assert stream.finish.error_code == "replica_lost"
    assert client.state is EngineState.STOPPED
    monkeypatch.undo()
    await client.close()


@pytest.mark.fault("F02")
async def test_a_closed_client_ends_its_streams_and_leaves_a_stopped_engine_no_chance() -> None:
    client = await started()
    stream = Running(client, request("open", 4000))
    await stream.has(3)
    kill(client, signal.SIGSTOP)
    await asyncio.wait_for(client.close(), 5)
    await stream.ended()
    assert stream.finish.error_code == "replica_lost"
    assert client.pid is None
    await client.close()


def test_a_kill_is_survived_under_uvloop_too() -> None:
    async def scenario() -> None:
        client = await started()
        stream = Running(client, request("stream"))
        await stream.has(10)
        kill(client)
        await stream.ended()
        assert stream.tokens == wanted(stream.asked)
        await client.close()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(scenario())
