"""Replicas that hang and go on later: their streams go on elsewhere, and what they say late is
dropped (F02)."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from stoker.core.output import FinishReason
from stoker.executor.fake import expected_tokens
from stoker.fleet import remote
from tests.support.engine_streams import Running, request, until, wanted
from tests.support.pools import ready, remote_pool, running_pool
from tests.support.serving_process import replica_process
from tests.support.text import vocab_size

TOKENS = 300


@pytest.mark.fault("F02")
async def test_a_hung_engine_loses_its_streams_to_the_other_and_is_replaced() -> None:
    async with running_pool(2, stuck_after=0.6) as running:
        streams = [Running(running.pool, request(f"s{number}", 200)) for number in range(6)]
        for stream in streams:
            await stream.has(3)
        hung = running.replicas[0].backend.pid
        running.kill(0, signal.SIGSTOP)
        await until(lambda: running.ready() == 1)
        for stream in streams:
            await stream.ended()
            assert stream.tokens == wanted(stream.asked)
            assert stream.reason is FinishReason.LENGTH
        await until(lambda: running.ready() == 2)
        assert running.replicas[0].backend.pid != hung


@pytest.fixture
async def impatient(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    monkeypatch.setattr(remote, "ASK_SECONDS", 0.02)
    monkeypatch.setattr(remote, "PATIENCE_SECONDS", 0.7)
    yield


@pytest.mark.fault("F02")
@pytest.mark.usefixtures("impatient")
async def test_a_machine_that_hangs_and_goes_on_delivers_nothing_twice(key: Path) -> None:
    secret = key.read_text().strip().encode()
    with replica_process(key) as first, replica_process(key) as second:
        async with remote_pool([first.url, second.url], secret) as pool:
            await until(lambda: ready(pool) == 2)
            streams = [Running(pool, request(f"h{number}", TOKENS)) for number in range(6)]
            for stream in streams:
                await stream.has(3)
            first.send(signal.SIGSTOP)
            first.stopped()
            await until(lambda: ready(pool) == 1)
            before = [len(stream.tokens) for stream in streams]
            first.send(signal.SIGCONT)  # and all that it computed meanwhile arrives
            await until(lambda: ready(pool) == 2)
            assert any(count < TOKENS for count in before)
            for stream in streams:
                await stream.ended()
                asked = stream.asked
                assert stream.tokens == expected_tokens(
                    asked.prompt_token_ids, asked.sampling.seed, TOKENS, vocab_size()
                )
                assert stream.reason is FinishReason.LENGTH
            await until(lambda: pool.load.num_running == 0)
