"""What is measured: each row asks a peer for one shape of work and returns its figures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from benchmarks.peers.driver import Driver, RowFailed
from benchmarks.peers.load import Load, with_memory
from stoker.bench.timing import LoadSummary, quantiles, summarise
from stoker.bench.workload import Workload

Figures = dict[str, float]
LONG_SEED = 8000
"""The long prompt is the same in every round, so that peers may keep what they computed of it."""


@dataclass(frozen=True)
class Sizes:
    decode_tokens: int = 128
    prompt: int = 512
    many: int = 32
    many_tokens: int = 64
    long: int = 8000
    long_tokens: int = 48
    waves: int = 2
    """Requests of each client, where one wave would not show what a cache or a queue does."""
    served_tokens: int = 128
    victims_quiet: float = 5.0
    victims_end: float = 15.0


FULL = Sizes()
SMALL = Sizes(
    decode_tokens=16, prompt=64, many=4, many_tokens=8, long=256, long_tokens=8, waves=1,
    served_tokens=8, victims_quiet=1.0, victims_end=3.0,
)  # fmt: skip
"""For trying the script; the figures mean nothing."""


@dataclass(frozen=True)
class EngineRow:
    """Through the engine's own interface, with random token ids."""

    name: str
    measure: Callable[[Driver, Sizes, int], Figures]


@dataclass(frozen=True)
class LoadRow:
    """Through the server, with text."""

    name: str
    measure: Callable[[Load, Sizes, int], Figures]
    kind: str = "short"


def decode_one(driver: Driver, sizes: Sizes, seed: int) -> Figures:
    shape = {"batch": 1, "prompt": 32, "output": sizes.decode_tokens, "seed": seed}
    return {"decode1": driver.ask("generate", **shape)["decode"]}


def prefill(driver: Driver, sizes: Sizes, seed: int) -> Figures:
    shape = {"batch": 1, "prompt": sizes.prompt, "output": 1, "seed": seed}
    return {"prefill": driver.ask("generate", **shape)["prefill"]}


def decode_many(driver: Driver, sizes: Sizes, seed: int) -> Figures:
    shape = {"batch": sizes.many, "prompt": 64, "output": sizes.many_tokens, "seed": seed}
    rates, memory = with_memory(driver.process, lambda: driver.ask("generate", **shape))
    return {"decode32": rates["decode"], "engine_memory": memory}


def decode_long(driver: Driver, sizes: Sizes, _seed: int) -> Figures:
    shape = {"batch": 1, "prompt": sizes.long, "output": sizes.long_tokens, "seed": LONG_SEED}
    return {"decode8k": driver.ask("generate", **shape)["decode"]}


def served(load: Load, sizes: Sizes, seed: int) -> Figures:
    workload = Workload(sizes.many, 128, sizes.served_tokens, seed=seed)
    summary, memory = with_memory(load.process, lambda: _summary(load, workload, sizes.many))
    return {"http32": summary.output_tokens_per_second, "memory": memory}


def first_token(load: Load, sizes: Sizes, seed: int) -> Figures:
    workload = Workload(8 * sizes.waves, sizes.prompt, 16, seed=seed)
    return {"ttft8": _summary(load, workload, 8).first_token_ms.p50}


def shared_prefix(load: Load, sizes: Sizes, seed: int) -> Figures:
    workload = Workload(
        sizes.many * sizes.waves, sizes.prompt + 32, sizes.served_tokens // 2, sizes.prompt, seed
    )
    return {"prefix32": _summary(load, workload, sizes.many).requests_per_second}


def victims(load: Load, sizes: Sizes, seed: int) -> Figures:
    streams = Workload(4, 64, 3500, seed=seed)
    attackers = replace(streams, num_requests=50, input_tokens=sizes.long - 200, output_tokens=1)
    found = load.disturbed(streams, attackers, sizes.victims_quiet, sizes.victims_end)
    quiet, disturbed = found.quiet_gaps(), found.disturbed_gaps()
    if not quiet or not disturbed:
        raise RowFailed(f"no token within {sizes.victims_quiet:.0f} s")
    return {"victims": quantiles(disturbed).p99, "undisturbed": quantiles(quiet).p99}


def _summary(load: Load, workload: Workload, clients: int) -> LoadSummary:
    summary = summarise(load.closed(workload, clients), clients)
    if summary.failed:
        raise RowFailed(f"{summary.failed} requests failed: {', '.join(summary.errors)}")
    return summary


ENGINE_ROWS = [
    EngineRow("decode1", decode_one),
    EngineRow("prefill", prefill),
    EngineRow("decode32", decode_many),
    EngineRow("decode8k", decode_long),
]
LOAD_ROWS = [
    LoadRow("http32", served),
    LoadRow("ttft8", first_token),
    LoadRow("prefix32", shared_prefix),
    LoadRow("victims", victims, "long"),
]
READY = "ready"
"""Taken where a peer is started for the other rows, or started for it alone."""
ROWS = [*(row.name for row in ENGINE_ROWS + LOAD_ROWS), READY]
