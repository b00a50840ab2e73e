"""Scaling policies over the same traces: who waits too long, and what that costs in replicas.

    python -m benchmarks.autoscale

Writes benchmarks/results/autoscale.json and the table in docs/performance.md. Takes seconds.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.autoscale.fluid_pool import Policy, replay
from benchmarks.autoscale.policies import Hpa, Keda, Kpa, Ours, Ray, Static
from benchmarks.autoscale.traces import (
    Trace,
    azure,
    bursts,
    by_second,
    mean_work,
    mooncake,
    shifted,
    surging,
    thinned,
    worst_minute,
)

ROOT = Path(__file__).parents[2]
SHIFTS = (0.0, 900.0, 2000.0)
SEEDS = (1, 2, 3, 4, 5)

POLICIES: dict[str, Callable[[], Policy]] = {
    "utilisation, 15 s / 300 s (as HPA)": Hpa,
    "in progress, 30 s / 300 s (as KEDA)": Keda,
    "in progress, 30 s / 600 s (as Ray Serve)": Ray,
    "in progress, 60 s / 6 s (as Knative)": Kpa,
    "ours": Ours,
    "ours, with replicas that sleep": lambda: Ours(ladder=True),
}


def scenarios() -> dict[str, tuple[list[Trace], float]]:
    """Traces, and the seconds a replica takes to start."""
    smooth, spiky = azure(), mooncake()
    drawn = [by_second(bursts(seed)) for seed in SEEDS]
    return {
        "Azure chat, 180 s": (list(_shifts(smooth)), 180.0),
        "Azure chat, 60 s": (list(_shifts(smooth)), 60.0),
        "Mooncake, 60 s": (list(_shifts(spiky)), 60.0),
        "a quarter of each, 60 s": (
            [by_second(thinned(one, 0.25)) for one in (smooth, spiky)],
            60.0,
        ),
        "surge to 3 times, 60 s": ([by_second(surging(one, 3)) for one in (smooth, spiky)], 60.0),
        "bursts, 60 s": (drawn, 60.0),
        "bursts, 20 s": (drawn, 20.0),
    }


def _shifts(arrivals: list[tuple[float, float]]) -> Iterator[Trace]:
    for seconds in SHIFTS:
        yield by_second(shifted(arrivals, seconds))


def measured(
    traces: list[Trace], cold: float, policy: Callable[[], Policy], start: Callable[[Trace], int]
) -> dict[str, float]:
    """Means over the traces."""
    outcomes = [replay(trace, policy(), start(trace), cold) for trace in traces]
    names = ("missed_percent", "mean_replicas", "mean_sleeping", "turns")
    return {
        name: round(sum(getattr(one, name) for one in outcomes) / len(outcomes), 2)
        for name in names
    }


def usual(trace: Trace) -> int:
    """Enough for the mean, 70 % used: what everybody begins with."""
    return math.ceil(mean_work(trace) / 0.7)


def provisioned(trace: Trace) -> int:
    return math.ceil(worst_minute(trace) / 0.9)


def compare() -> list[dict]:
    rows = []
    for scenario, (traces, cold) in scenarios().items():
        found = {
            "always mean / 0.7": measured(traces, cold, Static, usual),
            "always worst minute / 0.9": measured(traces, cold, Static, provisioned),
            **{name: measured(traces, cold, policy, usual) for name, policy in POLICIES.items()},
        }
        rows.append({"scenario": scenario, "traces": len(traces), "policies": found})
    return rows


def main() -> None:
    report = {"scenarios": compare()}
    path = ROOT / "benchmarks" / "results" / "autoscale.json"
    path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    subprocess.run([sys.executable, ROOT / "benchmarks" / "tables.py"], check=True)
    for row in report["scenarios"]:
        print(row["scenario"])
        for name, found in row["policies"].items():
            print(
                f"  {name:42s} {found['missed_percent']:6.2f} % missed  "
                f"{found['mean_replicas']:6.2f} replicas  {found['mean_sleeping']:5.2f} asleep  "
                f"{found['turns']:6.1f} turns"
            )


if __name__ == "__main__":
    main()
