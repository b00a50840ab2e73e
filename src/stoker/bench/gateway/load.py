"""A load generator in a process of its own.

    python -m stoker.bench.gateway.load < plan.json

carries out one plan and prints what it saw as JSON. With `HELD` it first prints a line once every
answer is under way.
"""

from __future__ import annotations

import asyncio
import random
import sys
import time
from collections import Counter

import msgspec
import uvloop

from stoker.bench.gateway.caller import Caller, request_of
from stoker.bench.gateway.plan import Pace, Plan, Seen, percentiles

LAST_ANSWER_SECONDS = 20.0
"""After the time of a plan is over."""
HELD_SECONDS = 600.0


class Load:
    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._request = request_of(plan)
        self._callers: list[Caller] = []
        self._idle: list[Caller] = []
        self._latencies: list[float] = []
        self._firsts: list[float] = []
        self._failures: Counter[str] = Counter()
        self._events = 0
        self._busy = 0
        self._until = 0.0
        self._last = 0.0
        self._all_ended = asyncio.Event()

    async def run(self) -> Seen:
        plan = self._plan
        began = time.perf_counter()
        self._until = began + plan.seconds
        try:
            if plan.pace is Pace.CLOSED:
                await self._closed()
            elif plan.pace is Pace.OPEN:
                await self._open()
            else:
                await self._held()
        finally:
            for caller in self._callers:
                caller.close()
        return self._seen(self._last - began)

    async def _closed(self) -> None:
        callers = [await self._connect() for _ in range(self._plan.connections)]
        for caller in callers:
            self._ask(caller)
        await self._finish()

    async def _open(self) -> None:
        """Poisson arrivals, the same each time."""
        chance = random.Random(1)  # noqa: S311
        self._idle = [await self._connect() for _ in range(min(64, self._plan.connections))]
        due = time.perf_counter()
        while due < self._until:
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            if self._idle:
                self._ask(self._idle.pop(), due)
            elif len(self._callers) < self._plan.connections:
                self._ask(await self._connect(), due)
            else:
                self._failures["no connection was free"] += 1
            due += chance.expovariate(self._plan.rate)
        await self._finish()

    async def _held(self) -> None:
        began = time.perf_counter()
        for number in range(self._plan.connections):
            pause = began + number / self._plan.rate - time.perf_counter()
            if pause > 0:
                await asyncio.sleep(pause)
            self._ask(await self._connect())
        while any(not (one.first or one.failure) for one in self._callers):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        print("held", flush=True)
        await self._finish(HELD_SECONDS)

    async def _connect(self) -> Caller:
        loop = asyncio.get_running_loop()
        _, caller = await loop.create_connection(
            lambda: Caller(self._request, self._ended, stream=self._plan.stream),
            "127.0.0.1", self._plan.port,
        )  # fmt: skip
        self._callers.append(caller)
        return caller

    async def _finish(self, seconds: float = LAST_ANSWER_SECONDS) -> None:
        """Waits for the answers under way; those that do not come have failed."""
        left = max(0.0, self._until - time.perf_counter()) + seconds
        try:
            async with asyncio.timeout(left):
                while self._busy:
                    self._all_ended.clear()
                    await self._all_ended.wait()
        except TimeoutError:
            self._failures["no answer in time"] += self._busy

    def _ask(self, caller: Caller, due: float | None = None) -> None:
        self._busy += 1
        if caller.open:
            caller.ask(due)
        else:
            self._count("the connection was closed")

    def _ended(self, caller: Caller) -> None:
        self._events += caller.events
        if caller.failure:
            self._count(caller.failure)
            return
        self._latencies.append(caller.latency)
        self._firsts.append(caller.first)
        self._count("")
        self._again(caller)

    def _count(self, failure: str) -> None:
        self._busy -= 1
        self._last = time.perf_counter()
        if failure:
            self._failures[failure] += 1
        if not self._busy:
            self._all_ended.set()

    def _again(self, caller: Caller) -> None:
        if self._plan.pace is Pace.OPEN:
            self._idle.append(caller)
        elif self._plan.pace is Pace.CLOSED and self._last < self._until:
            self._ask(caller)

    def _seen(self, seconds: float) -> Seen:
        return Seen(
            completed=len(self._latencies),
            failed=sum(self._failures.values()),
            failures=dict(self._failures),
            seconds=seconds,
            latency=percentiles(self._latencies),
            first=percentiles(self._firsts),
            events=self._events,
        )


def main() -> None:
    plan = msgspec.json.decode(sys.stdin.buffer.read(), type=Plan)
    seen = uvloop.run(Load(plan).run())
    sys.stdout.buffer.write(msgspec.json.encode(seen) + b"\n")


if __name__ == "__main__":
    main()
