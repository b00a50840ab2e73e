"""The gateway's balancing policies on a public trace: how much of the prompts they find cached, how
evenly they spread the work, and how long the first token takes. Also what a decision costs.

    python -m benchmarks.balance            prints the table
    python -m benchmarks.balance --write    and writes it into docs/performance.md
"""

from __future__ import annotations

import argparse
import gc
import json
import math
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any

import msgspec

from benchmarks.balance_replay import (
    DECODE_RATE,
    PREFILL_RATE,
    Arrival,
    Cache,
    Replay,
    Replayed,
    Replica,
    read_trace,
)
from stoker.bench.machine import this_machine
from stoker.gateway.balance.approximate_index import ApproximateIndex
from stoker.gateway.balance.consistent_hash import ConsistentHash
from stoker.gateway.balance.cost import CostBalancer
from stoker.gateway.balance.interface import Balancer, BalanceRequest, ReplicaView
from stoker.gateway.balance.least_loaded import LeastLoaded
from stoker.gateway.balance.prefix_index import CachedPrefixes, PrefixIndex
from stoker.gateway.balance.round_robin import RoundRobin
from stoker.gateway.balance.two_choices import TwoChoices
from stoker.kv.block_hash import keyed_hash, prompt_digests

ROOT = Path(__file__).parent.parent
TRACE = ROOT / "tests" / "data" / "mooncake-conversation.csv.gz"
RESULTS = ROOT / "benchmarks" / "results" / "balance.json"
NUM_REPLICAS = 8
CACHE_BLOCKS = 8000
SEED = 1
RATES = (6_000.0, PREFILL_RATE, 15_000.0)
"""The fleet is nearly full with the first, and half empty with the last."""

Make = Callable[[CachedPrefixes], Balancer]


class LongestPrefix:
    """Where most of the prompt is cached, and nothing else: a warning, not a policy to use."""

    def __init__(self, cached: CachedPrefixes) -> None:
        self._cached = cached

    def pick(
        self, request: BalanceRequest, replicas: Sequence[ReplicaView], now: float
    ) -> ReplicaView:
        depths = self._cached.depths(request.digests)
        return max(replicas, key=lambda replica: depths.get(replica.replica_id, 0))

    def gone(self, replica_id: str) -> None: ...


def _cost(cached: CachedPrefixes) -> Balancer:
    return CostBalancer(cached, Random(SEED).random)


HASH = "hash of the first two blocks"
COST = "cost"
POLICIES: dict[str, Make] = {
    "round robin": lambda _: RoundRobin(),
    "two choices": lambda _: TwoChoices(Random(SEED).random),
    "least loaded": lambda _: LeastLoaded(),
    "longest prefix only": LongestPrefix,
    HASH: lambda _: ConsistentHash(load_factor=math.inf),
    "consistent hash, bounded": lambda _: ConsistentHash(),
    COST: _cost,
}


def replay(trace: Sequence[Arrival], make: Make, rate: float = PREFILL_RATE) -> Replayed:
    """With an index fed by the replicas' block events, as with our own engines."""
    index = PrefixIndex(CACHE_BLOCKS)
    return Replay(_fleet(index, rate), make(index), index).run(trace)


def replay_guessing(trace: Sequence[Arrival], make: Make) -> Replayed:
    """With an index that guesses from what was sent, as with foreign servers."""
    index = ApproximateIndex()
    fleet = _fleet(PrefixIndex(CACHE_BLOCKS), PREFILL_RATE)
    return Replay(fleet, make(index), index, index.sent).run(trace)


def _fleet(index: PrefixIndex, rate: float) -> list[Replica]:
    return [
        Replica(name, Cache(name, CACHE_BLOCKS, index), prefill_rate=rate)
        for name in (f"r{number}" for number in range(NUM_REPLICAS))
    ]


def decisions(num_replicas: int = 64, num_tokens: int = 55_000) -> dict[str, Any]:
    """Microseconds of `pick` for a prompt of 220 kB of which ten replicas hold a part, and at worst
    of which all do; and of naming its blocks."""
    random = Random(SEED)
    tokens = tuple(random.randrange(50_000) for _ in range(num_tokens))
    hash_block = keyed_hash(b"key")
    digests = prompt_digests(hash_block, "", tokens, 16)
    fleet = [
        ReplicaView(
            replica_id=f"r{number}",
            in_flight=number % 7,
            queued_prefill_tokens=random.randrange(20_000),
        )
        for number in range(num_replicas)
    ]
    request = BalanceRequest(num_prompt_tokens=num_tokens, digests=digests)

    def picking(holders: int) -> Callable[[], object]:
        index = PrefixIndex(10_000)
        for number in range(holders):
            index.stored(f"r{number}", b"", digests[: random.randrange(len(digests))])
        chooser = CostBalancer(index, random.random)
        return lambda: chooser.pick(request, fleet, 0.0)

    return {
        "replicas": num_replicas,
        "blocks": len(digests),
        "pick_us": _microseconds(picking(10), 2000),
        "worst_us": _microseconds(picking(num_replicas), 2000),
        "name_us": _microseconds(lambda: prompt_digests(hash_block, "", tokens, 16), 100),
    }


def _microseconds(work: Callable[[], object], rounds: int) -> dict[str, float]:
    """Of processor time: others use this machine, too."""
    gc.collect()
    taken = []
    for _ in range(rounds):
        begin = time.thread_time()
        work()
        taken.append((time.thread_time() - begin) * 1e6)
    taken.sort()
    return {"p50": taken[rounds // 2], "p99": taken[rounds * 99 // 100]}


def row(name: str, rate: float, found: Replayed) -> dict[str, Any]:
    waits = found.first_token
    return {
        "policy": name,
        "prefill_rate": rate,
        "hit_rate": found.hit_rate,
        "imbalance": found.imbalance,
        "first_token_mean": sum(waits) / len(waits),
        "first_token_p50": waits[len(waits) // 2],
        "first_token_p99": waits[len(waits) * 99 // 100],
    }


def measure() -> dict[str, Any]:
    trace = read_trace(TRACE)
    rows = [row(name, PREFILL_RATE, replay(trace, make)) for name, make in POLICIES.items()]
    rows.append(row("cost, guessing", PREFILL_RATE, replay_guessing(trace, _cost)))
    compared = [
        row(name, rate, replay(trace, POLICIES[name], rate))
        for rate in RATES
        for name in ("least loaded", HASH, COST)
    ]
    return {
        "machine": msgspec.to_builtins(this_machine()),
        "requests": len(trace),
        "replicas": NUM_REPLICAS,
        "cache_blocks": CACHE_BLOCKS,
        "decode_rate": DECODE_RATE,
        "rows": rows,
        "by_rate": compared,
        "decision": decisions(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    report = measure()
    for one in report["rows"] + report["by_rate"]:
        print("{policy:30} {prefill_rate:7.0f}/s  hit {hit_rate:6.1%}  max/mean {imbalance:.3f}  "
              "first token mean {first_token_mean:.2f} s  p99 {first_token_p99:.1f} s"
              .format(**one))  # fmt: skip
    print(report["decision"])
    if options.write:
        RESULTS.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
        subprocess.run([sys.executable, str(ROOT / "benchmarks" / "tables.py")], check=True)


if __name__ == "__main__":
    main()
