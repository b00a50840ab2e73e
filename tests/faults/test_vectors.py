"""An engine that dies while it makes vectors (F03)."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from stoker.core.output import FinishReason
from stoker.core.pooling import Pooling
from stoker.core.sampling import SamplingParams
from stoker.engine.frames import EngineSettings
from stoker.executor.fake import FakeOptions
from tests.support import leaks
from tests.support.engine_streams import Running, kill, request, started

CHUNKS = FakeOptions(step_seconds=0.02, max_step_tokens=64)
"""A long text takes many steps."""


@pytest.mark.fault("F03")
async def test_vectors_outlive_the_engine_that_was_making_them() -> None:
    async with leaks.nothing_left_behind():
        client = await started(EngineSettings(executor="fake", fake=CHUNKS))
        asked = [
            msgspec.structs.replace(
                request(f"text {i} " * 150),
                sampling=SamplingParams(max_tokens=1),
                pooling=Pooling.LAST,
            )
            for i in range(3)
        ]
        undisturbed = [Running(client, one) for one in asked]
        await asyncio.gather(*(one.ended() for one in undisturbed))
        steps = client.load.num_steps
        again = [Running(client, msgspec.structs.replace(one, tenant="another")) for one in asked]
        async with asyncio.timeout(20):
            while client.load.num_steps < steps + 3:
                await asyncio.sleep(0.001)
        kill(client)
        await asyncio.gather(*(one.ended() for one in again))
        assert client.num_restarts == 1
        for before, after in zip(undisturbed, again, strict=True):
            assert after.reason is FinishReason.STOP
            assert after.endings[0].pooled == before.endings[0].pooled != b""
        await client.close()
