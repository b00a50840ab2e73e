"""Ours and llama.cpp, in turn, on the same file and machine: writes benchmarks/results/peers.json.

Each round starts both engines afresh, one after the other, so that whatever else the machine is
doing hits both. Figures are medians over the rounds; the lowest and highest are kept beside them.
Set the peer up first: `make bench-peers-setup`.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

import msgspec
from tables import write_tables

from stoker.bench.machine import this_machine, usable_cores
from stoker.config.load import load
from stoker.config.paths import cache_folder
from stoker.model.pull import resolve

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "peers.json"
RATES = ("prefill_tokens_per_second", "decode_tokens_per_second", "overall_tokens_per_second")


def ours(arguments: argparse.Namespace) -> dict[str, object]:
    command = [sys.executable, "-m", "stoker", "bench", "engine", arguments.model, "--json", "-"]
    command += ["--repeats", "1", *common(arguments)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def theirs(arguments: argparse.Namespace) -> dict[str, object]:
    python = ROOT / ".venv-peers" / "bin" / "python"
    runner = ROOT / "benchmarks" / "llama_cpp_runner.py"
    command = [str(python), str(runner), arguments.model, *common(arguments)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def common(arguments: argparse.Namespace) -> list[str]:
    flags = ["--threads", str(arguments.threads)]
    flags += ["--prompt-tokens", str(arguments.prompt_tokens)]
    flags += ["--output-tokens", str(arguments.output_tokens)]
    for batch in arguments.batch:
        flags += ["--batch", str(batch)]
    return flags


def gather(rounds: list[dict[str, object]]) -> list[dict[str, object]]:
    """One entry a batch size: median, lowest and highest of each rate, and the peer's layout."""
    gathered = []
    for same in zip(*(one["figures"] for one in rounds), strict=True):
        entry = {key: value for key, value in same[0].items() if key not in RATES}
        for rate in RATES:
            values = sorted(figure[rate] for figure in same)
            entry[rate] = {
                "median": round(statistics.median(values), 1),
                "lowest": values[0],
                "highest": values[-1],
            }
        gathered.append(entry)
    return gathered


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "models",
        nargs="*",
        default=["smollm2:135m", "qwen2.5-coder:0.5b", "gemma3:270m"],
        help="catalog names or GGUF files",
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=usable_cores())
    parser.add_argument("--batch", type=int, action="append")
    parser.add_argument("--prompt-tokens", type=int, default=128)
    parser.add_argument("--output-tokens", type=int, default=128)
    arguments = parser.parse_args()
    arguments.batch = arguments.batch or [1, 16]
    report = {"machine": msgspec.to_builtins(this_machine()), "models": []}
    for model in arguments.models:
        arguments.model = str(resolve(model, cache_folder(load().config.model)))
        results: dict[str, list[dict[str, object]]] = {"stoker": [], "llama.cpp": []}
        for number in range(arguments.rounds):
            print(f"{Path(model).name}: round {number + 1} of {arguments.rounds}", flush=True)
            results["stoker"].append(ours(arguments))
            results["llama.cpp"].append(theirs(arguments))
        report["peer"] = f"llama-cpp-python {results['llama.cpp'][0]['version']}"
        report["threads"] = arguments.threads
        report["rounds"] = arguments.rounds
        report["models"].append(
            {"model": Path(model).name} | {name: gather(runs) for name, runs in results.items()}
        )
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    write_tables()


if __name__ == "__main__":
    main()
