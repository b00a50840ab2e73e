"""Every row of the comparison, ours and each peer in turn, into docs/performance.md.

python -m benchmarks.peers [--rounds 5] [--rows decode1,prefill] [--peers stoker,llama]
`make bench-peers-setup` first. On two quiet cores a
round of everything takes about a quarter of an hour, starting the peers ten minutes more.
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
from pathlib import Path

import msgspec

from benchmarks.peers.catalog import PEERS, ROOT, Peer
from benchmarks.peers.rows import FULL, ROWS, SMALL
from benchmarks.peers.series import Series
from benchmarks.peers.setting import MODELS, setting_of
from benchmarks.peers.weights import ensure_weights
from stoker.bench.machine import this_machine, usable_cores

RAW = ROOT / "build" / "bench" / "peers.json"
RESULTS = ROOT / "benchmarks" / "results" / "comparison.json"
SIZES = {"full": FULL, "small": SMALL}


def listed(text: str) -> list[str]:
    return text.split(",")


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench-peers ARGS=...", description=__doc__)
    parser.add_argument("--models", type=listed, default=MODELS)
    parser.add_argument("--rows", type=listed, default=ROWS, help=f"of {','.join(ROWS)}")
    names = [peer.name for peer in PEERS]
    parser.add_argument("--peers", type=listed, default=names, help=f"of {','.join(names)}")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=usable_cores())
    parser.add_argument("--sizes", choices=list(SIZES), default="full", help="small: only to try")
    parser.add_argument("--write", choices=["page", "raw"], default="page",
                        help="raw: leave the published results and page alone")  # fmt: skip
    return parser.parse_args()


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that every peer is ended
    asked = parsed()
    peers: list[Peer] = [peer for peer in PEERS if peer.name in asked.peers and peer.installed]
    report = {
        "machine": msgspec.to_builtins(this_machine()),
        "threads": asked.threads,
        "rounds": asked.rounds,
        "sizes": asked.sizes,
        "models": [],
    }
    for name in asked.models:
        setting = setting_of(name, asked.threads)
        ensure_weights(setting, peers)
        series = Series(setting, peers, SIZES[asked.sizes], asked.rows, asked.rounds)
        series.run()
        report["models"].append({"model": name} | series.result())
        save(report, RAW)
    if asked.write == "page":
        save(report, RESULTS)
        subprocess.run([sys.executable, str(ROOT / "benchmarks" / "tables.py")], check=True)


def save(report: dict[str, object], target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
