"""Balancing over real engine processes: a pool of replicas whose executor computes nothing but
takes its time for each token, and clients that hold conversations.

    python -m benchmarks.balance_live            prints the table
    python -m benchmarks.balance_live --write    and writes it into docs/performance.md

Scheduler, prefix cache, frames, block events and the pool are the real ones. Real models would tell
little here: the replicas would share this machine's cores.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path
from random import Random
from typing import Any

import msgspec

from stoker.bench.machine import this_machine
from stoker.config.fleet_schema import BalanceSection
from stoker.core.clock import SystemClock
from stoker.core.ids import RequestId
from stoker.core.request import Request
from stoker.core.sampling import SamplingParams
from stoker.engine.frames import EngineSettings
from stoker.executor.fake import FakeOptions
from stoker.fleet.interface import ReplicaSpec, ReplicaState
from stoker.fleet.local import LocalPlacer
from stoker.gateway.balancing import Balancing
from stoker.gateway.pool import ReplicaPool

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "balance_live.json"
KEY = b"a key for a benchmark"
POLICIES = ("round_robin", "least_loaded", "consistent_hash", "cost")
ROUNDS = 3
REPLICAS = 4
CLIENTS = 12
CONVERSATIONS = 4
"""Of each client, one after the other."""
TURNS = 5
SYSTEM_TOKENS = 64
"""All prompts begin with them."""
TURN_TOKENS = 150
OUTPUT_TOKENS = 8
ENGINE = EngineSettings(
    executor="fake",
    cache_key=KEY,
    fake=FakeOptions(num_blocks=320, step_seconds=0.002, token_seconds=0.0005),
)


class Run:
    """All clients once, through one pool."""

    def __init__(self, pool: ReplicaPool, seed: int) -> None:
        self._pool = pool
        self._random = Random(seed)
        self._numbers = itertools.count()
        self.first_token: list[float] = []
        self.prompt_tokens = 0
        self.cached_tokens = 0

    async def clients(self) -> None:
        seeds = [self._random.random() for _ in range(CLIENTS)]
        await asyncio.gather(*(self._client(Random(seed)) for seed in seeds))

    async def _client(self, random: Random) -> None:
        for _ in range(CONVERSATIONS):
            prompt = list(range(SYSTEM_TOKENS))
            for _ in range(TURNS):
                length = random.randrange(TURN_TOKENS // 2, TURN_TOKENS * 3 // 2)
                prompt += (random.randrange(100, 1000) for _ in range(length))
                prompt += await self._answer(prompt)

    async def _answer(self, prompt: list[int]) -> list[int]:
        request = Request(
            request_id=RequestId(str(next(self._numbers))),
            prompt_token_ids=tuple(prompt),
            sampling=SamplingParams(max_tokens=OUTPUT_TOKENS),
        )
        tokens: list[int] = []
        begin = time.monotonic()
        async for delta in self._pool.submit(request):
            if delta.token_ids and not tokens:
                self.first_token.append(time.monotonic() - begin)
            tokens += delta.token_ids
            self.cached_tokens += delta.num_cached_tokens
        self.prompt_tokens += len(prompt)
        return tokens


async def measure(policy: str, seed: int) -> dict[str, float]:
    clock = SystemClock()
    section = msgspec.convert({"policy": policy}, BalanceSection)
    placer = LocalPlacer(
        ReplicaSpec(model="fake", source="", engine=ENGINE), clock, expected=REPLICAS
    )
    pool = ReplicaPool(placer, Balancing(section, KEY, seed), clock)
    changed = asyncio.Event()
    pool.watch(changed.set)
    try:
        await pool.start(REPLICAS)
        while any(one.state is not ReplicaState.READY for one in placer.replicas):
            await changed.wait()
            changed.clear()
        run = Run(pool, seed)
        begin = time.monotonic()
        await run.clients()
        seconds = time.monotonic() - begin
        work = [one.backend.load.step_seconds for one in placer.replicas]
    finally:
        await pool.close()
    return {
        "cached_share": run.cached_tokens / run.prompt_tokens,
        "imbalance": max(work) * len(work) / sum(work),
        "first_token_mean": statistics.mean(run.first_token),
        "first_token_p99": statistics.quantiles(run.first_token, n=100)[98],
        "requests_per_second": len(run.first_token) / seconds,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    found: dict[str, list[dict[str, float]]] = {policy: [] for policy in POLICIES}
    for seed in range(ROUNDS):
        for policy in POLICIES:
            found[policy].append(asyncio.run(measure(policy, seed)))
            print(policy, {name: round(value, 3) for name, value in found[policy][-1].items()})
    report: dict[str, Any] = {
        "machine": msgspec.to_builtins(this_machine()),
        "replicas": REPLICAS,
        "clients": CLIENTS,
        "turns": TURNS,
        "rounds": ROUNDS,
        "policies": {
            policy: {name: statistics.median(run[name] for run in runs) for name in runs[0]}
            for policy, runs in found.items()
        },
    }
    if options.write:
        RESULTS.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
        subprocess.run([sys.executable, str(ROOT / "benchmarks" / "tables.py")], check=True)


if __name__ == "__main__":
    main()
