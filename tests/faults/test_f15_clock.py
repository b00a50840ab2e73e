"""The wall clock is set while requests run: no deadline fires, and none is lost (F15)."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from stoker.core.clock import SystemClock
from stoker.core.output import FinishReason
from stoker.engine.client import EngineClient
from stoker.engine.interface import EngineState
from stoker.fleet import remote
from tests.support.engine_streams import SLOW, Running, request, until, wanted
from tests.support.pools import ready, remote_pool, running_pool
from tests.support.server import replica_server

HOUR, DAY = 3600.0, 86400.0
JUMPS = [HOUR, -HOUR, DAY, -DAY]


class SetClock(SystemClock):
    """Whose wall time is off by `by` seconds."""

    by = 0.0

    def wall(self) -> float:
        return super().wall() + self.by


@pytest.mark.fault("F15")
@pytest.mark.parametrize("jump", JUMPS)
async def test_no_deadline_fires_and_none_is_lost(jump: float) -> None:
    clock = SetClock()
    async with running_pool(2, clock=clock) as running:
        streams = [Running(running.pool, request(f"j{n}", 80, timeout=30.0)) for n in range(4)]
        late = Running(running.pool, request("late", 3000, timeout=0.5))
        for stream in streams:
            await stream.has(3)
        clock.by = jump
        running.kill(0)
        for stream in streams:
            await stream.ended()
            assert stream.tokens == wanted(stream.asked)
        await late.ended()
        assert late.reason is FinishReason.DEADLINE


@pytest.mark.fault("F15")
async def test_an_engine_is_not_taken_for_stuck_because_the_clock_was_set() -> None:
    clock = SetClock()
    client = EngineClient(SLOW, stuck_after=2.0, clock=clock)
    await client.start()
    stream = Running(client, request("on and on", 100))
    for jump in JUMPS:
        clock.by = jump
        await asyncio.sleep(0)
    await stream.ended()
    assert (client.num_restarts, client.state) == (0, EngineState.READY)
    await client.close()


@pytest.mark.fault("F15")
async def test_a_front_whose_clock_is_wrong_gets_no_work_done_elsewhere_until_it_is_right(
    key: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Tickets expire by the wall clock, so two machines have to agree on it."""
    monkeypatch.setattr(remote, "ASK_SECONDS", 0.02)
    clock = SetClock()
    secret = key.read_text().strip().encode()
    with replica_server(key) as replica:
        async with remote_pool([replica.url], secret, clock) as pool:
            clock.by = -HOUR
            await until(lambda: ready(pool) == 0)
            assert "the ticket has expired" in caplog.text
            stream = Running(pool, request("patient", 5))
            clock.by = 0.0
            await stream.ended()
            assert stream.reason is FinishReason.LENGTH
