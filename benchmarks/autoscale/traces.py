"""What comes to a pool each second: two public traces, changed so that no policy can be fitted to
them, and bursts drawn to look like a third."""

from __future__ import annotations

import csv
import gzip
import itertools
from pathlib import Path
from random import Random

DATA = Path(__file__).parents[2] / "tests" / "data"
PREFILL_RATE = 2000.0
DECODE_RATE = 200.0
"""Tokens a second of one replica."""

Trace = list[tuple[int, float]]
"""Each second's requests, and their work in replica-seconds."""
Arrivals = list[tuple[float, float]]
"""Each request's second and work."""


def azure() -> Arrivals:
    """Smooth: an hour of a chat service, 5.5 requests a second."""
    rows = _rows("azure-conversation.csv.gz")
    times = itertools.accumulate(int(row["milliseconds"]) / 1000 for row in rows)
    return [(time, _work(row, 1.0)) for time, row in zip(times, rows, strict=True)]


def mooncake() -> Arrivals:
    """Long prompts, less smooth. A sixth of each prompt is taken: the rest is cached."""
    rows = _rows("mooncake-conversation.csv.gz")
    return [(int(row["milliseconds"]) / 1000, _work(row, 1 / 6)) for row in rows]


def bursts(seed: int, seconds: int = 3500, mean: float = 3.0) -> Arrivals:
    """Most of the work comes in clumps of some seconds, twice a minute: as spread as Azure's code
    completion trace (4 times the mean in the worst minute, about 30 in the worst second)."""
    random = Random(seed)
    arrivals = []
    time = random.expovariate(1 / 32)
    while time < seconds:
        length = min(40.0, random.lognormvariate(0, 0.8) * 9)
        requests = max(2, int(random.lognormvariate(0, 0.7) * 65))
        arrivals += [
            (time + random.random() * length, random.lognormvariate(0, 0.7))
            for _ in range(requests)
        ]
        time += random.expovariate(1 / 32)
    arrivals = sorted(arrival for arrival in arrivals if arrival[0] < seconds)
    scale = mean * seconds / sum(work for _, work in arrivals)
    return [(time, work * scale) for time, work in arrivals]


def shifted(arrivals: Arrivals, seconds: float) -> Arrivals:
    """Begun later, with the beginning at the end."""
    length = arrivals[-1][0]
    return sorted(((time - seconds) % length, work) for time, work in arrivals)


def thinned(arrivals: Arrivals, share: float) -> Arrivals:
    random = Random(1)
    return [arrival for arrival in arrivals if random.random() < share]


def surging(arrivals: Arrivals, times: int) -> Arrivals:
    """The middle third `times` as much."""
    length = arrivals[-1][0]
    more = itertools.chain.from_iterable(
        shifted(arrivals, 777.0 * (copy + 1)) for copy in range(times - 1)
    )
    middle = (arrival for arrival in more if length / 3 < arrival[0] < 2 * length / 3)
    return sorted([*arrivals, *middle])


def by_second(arrivals: Arrivals) -> Trace:
    trace = [(0, 0.0)] * (int(arrivals[-1][0]) + 1)
    for time, work in arrivals:
        requests, sum_ = trace[int(time)]
        trace[int(time)] = (requests + 1, sum_ + work)
    return trace


def mean_work(trace: Trace) -> float:
    return sum(work for _, work in trace) / len(trace)


def worst_minute(trace: Trace) -> float:
    work = [work for _, work in trace]
    return max(sum(work[first : first + 60]) / 60 for first in range(0, len(work) - 60, 10))


def _rows(name: str) -> list[dict[str, str]]:
    with gzip.open(DATA / name, "rt", encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def _work(row: dict[str, str], prompt_share: float) -> float:
    prompt = int(row["input_tokens"]) * prompt_share
    return prompt / PREFILL_RATE + int(row["output_tokens"]) / DECODE_RATE
