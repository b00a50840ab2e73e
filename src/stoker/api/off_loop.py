"""Slow work on what a client sent, kept away from the loop so that other streams go on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from stoker.api.body import Record, decode
from stoker.api.exchange import Exchange
from stoker.config.schema import LimitsSection

Result = TypeVar("Result")

INLINE_SIZE = 4096
"""What is larger is worked on by the thread."""


class OffLoop:
    """One thread: more would only compete with the loop for the interpreter."""

    def __init__(self, limits: LimitsSection) -> None:
        self._limits = limits
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="text")

    async def run(self, size: int, work: Callable[[], Result]) -> Result:
        """Runs `work` here when its input is small, else on the thread.

        `size` counts everything that is walked. For a request that is its body, which no text,
        list or object in it can outgrow.
        """
        if size <= INLINE_SIZE:
            return work()
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    async def read(self, exchange: Exchange, record: type[Record]) -> Record:
        """The body as a record. Raises RequestError naming the field."""
        body = await exchange.read()
        depth = self._limits.json_depth
        return await self.run(len(body), lambda: decode(body, record, depth))

    def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)
