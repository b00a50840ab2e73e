"""A backend in this process over the fake executor: real scheduling, exact tokens, and a test may
hold the steps and let them go one by one."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator

from stoker import errors
from stoker.constrain.compiler import Compiler
from stoker.constrain.matcher import Matcher
from stoker.constrain.token_table import TokenTable
from stoker.core.ids import RequestId
from stoker.core.output import Finish, FinishReason, TokenDelta
from stoker.core.request import Request
from stoker.engine.build import build_engine
from stoker.engine.frames import EngineSettings
from stoker.engine.interface import EngineInfo, EngineLoad, EngineState
from stoker.executor.fake import FakeOptions

PAUSE = 0.0005


class LocalBackend:
    def __init__(
        self,
        vocab_size: int,
        eos: tuple[int, ...] = (),
        max_waiting: int = 256,
        table: TokenTable | None = None,
    ) -> None:
        """With a table, output can be constrained."""
        self._table = table
        options = FakeOptions(vocab_size=vocab_size, num_blocks=2048, max_context=2048)
        self.settings = EngineSettings(
            executor="fake", fake=options, eos_token_ids=eos, max_waiting=max_waiting
        )
        self.engine, self._info = build_engine(self.settings, lambda done, total: None)
        self.state = EngineState.READY
        self.num_restarts = 0
        self._held = False
        self.submitted: list[Request] = []
        self._granted = 0
        self._queues: dict[RequestId, asyncio.Queue[TokenDelta]] = {}
        self._work = asyncio.Event()
        self._loop_task: asyncio.Task[None] | None = None

    @property
    def info(self) -> EngineInfo:
        if self.state is EngineState.LOADING:
            raise errors.Loading("loading")
        return self._info

    @property
    def load(self) -> EngineLoad:
        return self.engine.load()

    async def submit(self, request: Request) -> AsyncIterator[TokenDelta]:
        self._refuse()
        self.engine.submit(request, self._guide(request))
        self.submitted.append(request)
        queue = self._queues[request.request_id] = asyncio.Queue()
        if self._loop_task is None:
            self._loop_task = asyncio.create_task(self._run())
        self._work.set()
        try:
            while True:
                delta = await queue.get()
                yield delta
                if delta.finish is not None:
                    return
        finally:
            del self._queues[request.request_id]
            self.engine.cancel(request.request_id)
            self._work.set()

    @functools.cached_property
    def _compiler(self) -> Compiler:
        return Compiler(self._table or TokenTable())

    def _guide(self, request: Request) -> Matcher | None:
        if request.constraint is None or self._table is None:
            return None
        return self._compiler.matcher(request.constraint, request.output_token_ids)

    def cancel(self, request_id: RequestId) -> None:
        self.engine.cancel(request_id)
        self._work.set()

    def hold(self) -> None:
        """From now on the engine makes no steps but those granted by `let_step`."""
        self._held = True

    def release(self) -> None:
        self._held = False
        self._granted = 0
        self._work.set()

    def let_step(self, count: int = 1) -> None:
        self._granted += count
        self._work.set()

    def fail(self, finish: Finish) -> None:
        """Ends every open stream this way."""
        for request_id, queue in self._queues.items():
            self.engine.cancel(request_id)
            queue.put_nowait(TokenDelta(request_id, finish=finish))

    async def drain(self, grace: float) -> None:
        self.state = EngineState.DRAINING
        try:
            async with asyncio.timeout(grace):
                while self._queues:
                    await asyncio.sleep(PAUSE)
        except TimeoutError:
            self.fail(Finish(FinishReason.ERROR, error_code=errors.Draining.code))

    async def close(self) -> None:
        self.state = EngineState.STOPPED
        if self._loop_task is not None:
            self._loop_task.cancel()
            await asyncio.gather(self._loop_task, return_exceptions=True)

    def _refuse(self) -> None:
        if self.state is EngineState.LOADING:
            raise errors.Loading("loading")
        if self.state is EngineState.DRAINING:
            raise errors.Draining("draining")
        if self.state is EngineState.RESTARTING:
            raise errors.NoCapacity("no engine")

    async def _run(self) -> None:
        while True:
            if self.engine.idle or (self._held and not self._granted):
                self._work.clear()
                await self._work.wait()
                continue
            self._granted = max(0, self._granted - 1)
            for delta in self.engine.step():
                if (queue := self._queues.get(delta.request_id)) is not None:
                    queue.put_nowait(delta)
            await asyncio.sleep(PAUSE)
