"""Streams of a real engine process over the fake executor, and ways to hurt that process."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable

from stoker.core.ids import RequestId
from stoker.core.output import Finish, FinishReason, TokenDelta
from stoker.core.request import Request
from stoker.core.sampling import SamplingParams
from stoker.engine.client import EngineClient
from stoker.engine.frames import EngineSettings
from stoker.executor.fake import FakeOptions, expected_tokens

SLOW = EngineSettings(executor="fake", fake=FakeOptions(step_seconds=0.005))
DEADLINE = 20.0
"""Seconds after which a test that waits has failed."""


def request(name: str, tokens: int = 60, timeout: float | None = None) -> Request:
    prompt = tuple(name.encode())
    return Request(
        request_id=RequestId(name),
        prompt_token_ids=prompt,
        sampling=SamplingParams(max_tokens=tokens, seed=len(name)),
        timeout=timeout,
    )


def wanted(asked: Request) -> list[int]:
    sampling = asked.sampling
    return expected_tokens(asked.prompt_token_ids, sampling.seed, sampling.max_tokens)


class Running:
    """A stream being consumed, that says when it has so many tokens."""

    def __init__(self, client: EngineClient, asked: Request) -> None:
        self.asked = asked
        self.tokens: list[int] = []
        self.endings: list[TokenDelta] = []
        self._grown = asyncio.Condition()
        self.task = asyncio.create_task(self._consume(client))

    async def _consume(self, client: EngineClient) -> None:
        async for delta in client.submit(self.asked):
            async with self._grown:
                self.tokens += delta.token_ids
                if delta.finish is not None:
                    self.endings.append(delta)
                self._grown.notify_all()

    async def has(self, count: int) -> None:
        async with self._grown:
            await asyncio.wait_for(
                self._grown.wait_for(lambda: len(self.tokens) >= count), DEADLINE
            )

    async def ended(self) -> None:
        await asyncio.wait_for(self.task, DEADLINE)

    @property
    def finish(self) -> Finish:
        assert len(self.endings) == 1
        assert self.endings[0].finish is not None
        return self.endings[0].finish

    @property
    def reason(self) -> FinishReason:
        return self.finish.reason


async def started(settings: EngineSettings = SLOW, **options: float) -> EngineClient:
    client = EngineClient(settings, **options)  # type: ignore[arg-type]
    await client.start()
    return client


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(DEADLINE):
        while not condition():
            await asyncio.sleep(0.001)


def kill(client: EngineClient, how: int = signal.SIGKILL) -> None:
    assert client.pid is not None
    os.kill(client.pid, how)
