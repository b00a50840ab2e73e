"""A model for asyncio programs: text in, text out, computed by an engine process of its own.

async with AsyncEngine("smollm2:135m") as engine:
    async for piece in engine.generate("The capital of France is"):
        print(piece.text, end="")
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncGenerator
from contextlib import aclosing
from types import TracebackType
from typing import Any

from stoker.core.constraint import Constraint
from stoker.core.ids import RequestId, TokenId
from stoker.core.request import Request
from stoker.core.sampling import SamplingParams
from stoker.engine.client import EngineClient, Progress
from stoker.errors import Loading
from stoker.llm import ANSWER, COMPLETION
from stoker.prepare import Messages, Prepared, Prompt, prepare
from stoker.text.text_delta import TextDelta, TextReader


class AsyncEngine:
    """Belongs to one event loop. Any number of generations may run at once; they share batches.

    The engine process is replaced when it dies, and generations go on (see EngineClient). Leaving
    an iteration early, by `aclose` or cancellation, ends that generation.
    """

    def __init__(
        self,
        model: str = "smollm2:135m",
        *,
        quantize: str | None = None,
        cache: str | None = None,
        progress: Progress | None = None,
        **engine: Any,
    ) -> None:
        """`quantize`, `cache`, `progress` and `engine` are as for LLM. Nothing is loaded yet."""
        self._model = model
        self._quantize = quantize
        self._cache = cache
        self._progress = progress
        self._engine = engine
        self._client: EngineClient | None = None
        self._prepared: Prepared | None = None

    async def start(self) -> None:
        """Fetches and loads the model. Raises SetupError's kinds."""
        prepared = await asyncio.to_thread(
            prepare, self._model, "AsyncEngine()", self._engine, self._quantize, self._cache
        )
        client = EngineClient(
            prepared.settings, max_restarts=prepared.max_restarts, progress=self._progress
        )
        await client.start()
        self._prepared, self._client = prepared, client

    @property
    def client(self) -> EngineClient:
        """State, load and limits of the engine. Raises Loading before `start` is done."""
        if self._client is None:
            raise Loading("start() has not finished")
        return self._client

    async def generate(
        self,
        prompt: Prompt,
        sampling: SamplingParams = COMPLETION,
        constraint: Constraint | None = None,
    ) -> AsyncGenerator[TextDelta, None]:
        """Completes a prompt. `constraint` is what the completion must look like. Raises
        InvalidRequest, ContextLengthExceeded, UnsupportedConstraint or a CapacityError before the
        first delta."""
        ids = self._ready.encode(prompt)
        async with aclosing(self._run(ids, sampling, constraint)) as deltas:
            async for delta in deltas:
                yield delta

    async def chat(
        self,
        messages: Messages,
        sampling: SamplingParams = ANSWER,
        constraint: Constraint | None = None,
    ) -> AsyncGenerator[TextDelta, None]:
        """Answers a conversation; raises as `generate`."""
        ids = self._ready.encode_chat(messages)
        async with aclosing(self._run(ids, sampling, constraint)) as deltas:
            async for delta in deltas:
                yield delta

    @property
    def _ready(self) -> Prepared:
        if self._prepared is None:
            raise Loading("start() has not finished")
        return self._prepared

    async def _run(
        self, ids: tuple[TokenId, ...], sampling: SamplingParams, constraint: Constraint | None
    ) -> AsyncGenerator[TextDelta, None]:
        request_id = RequestId(secrets.token_hex(12))
        request = Request(
            request_id=request_id, prompt_token_ids=ids, sampling=sampling, constraint=constraint
        )
        reader = TextReader(self._ready.text.tokenizer, sampling)
        async with aclosing(self.client.submit(request)) as deltas:
            async for delta in deltas:
                read = reader.read(delta)
                yield read
                if read.finish_reason is not None:  # by a stop string the engine knows nothing of
                    return

    async def close(self) -> None:
        """Ends the engine process and every generation. Safe to call twice."""
        if self._client is not None:
            await self._client.close()

    async def __aenter__(self) -> AsyncEngine:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()
