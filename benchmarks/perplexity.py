"""Perplexity of ours and of llama.cpp on one text: writes benchmarks/results/perplexity.json.

As llama.cpp's own tool does it: the text is cut into windows, and the second half of each is
scored, so that every scored token has at least half a window before it. Both get the same ids.
Set the peer up first: `make bench-peers-setup`.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
from pathlib import Path

import msgspec
import numpy as np
from fidelity_text import open_named, paradise_lost, starts
from tables import write_tables

from stoker.bench.machine import this_machine, usable_cores
from stoker.executor.native import NativeExecutor, NativeOptions
from stoker.model.load import Model

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "perplexity.json"
MODELS = ["smollm2:135m", "qwen2.5-coder:0.5b", "qwen2.5-coder:1.5b", "gemma3:270m"]
WINDOW = 512


def windows_of(tokens: list[int], first: list[int], count: int) -> list[list[int]]:
    """Windows of WINDOW ids in all, each beginning with `first`."""
    size = WINDOW - len(first)
    return [first + tokens[i * size : (i + 1) * size] for i in range(count)]


def ours(model: Model, windows: list[list[int]]) -> list[float]:
    """Mean negative log probability of the scored tokens, per window."""
    kv_bytes = model.spec.kv_values_per_token * 2 * (WINDOW + 64)
    options = NativeOptions(threads=usable_cores(), kv_bytes=kv_bytes, max_context=WINDOW)
    executor = NativeExecutor(model, options)
    executor.load()
    return [scored(executor.forward_logits(window), window) for window in windows]


def scored(logits: np.ndarray, window: list[int]) -> float:
    half = len(window) // 2
    rows = logits[half:-1].astype(np.float64)
    rows -= rows.max(axis=1, keepdims=True)
    chosen = rows[np.arange(len(rows)), window[half + 1 :]]
    return float(np.mean(np.log(np.exp(rows).sum(axis=1)) - chosen))


def theirs(model: Model, windows: list[list[int]]) -> dict[str, object]:
    python = ROOT / ".venv-peers" / "bin" / "python"
    runner = ROOT / "benchmarks" / "llama_cpp_perplexity.py"
    command = [str(python), str(runner), str(model.path), str(usable_cores())]
    result = subprocess.run(
        command, check=True, stdout=subprocess.PIPE, input=json.dumps(windows), text=True
    )
    return json.loads(result.stdout)


def of_model(name: str, count: int) -> tuple[dict[str, object], str]:
    model, tokenizer = open_named(name)
    tokens = tokenizer.encode(paradise_lost())
    windows = windows_of(tokens, starts(tokenizer, model), count)
    mine = math.exp(sum(ours(model, windows)) / count)
    answer = theirs(model, windows)
    other = math.exp(sum(answer["losses"]) / count)
    model.close()
    found = {"model": name, "stoker": round(mine, 3), "llama.cpp": round(other, 3)}
    return found | {"difference_percent": round(100 * (mine / other - 1), 3)}, answer["version"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", default=MODELS, help="catalog names or GGUF files")
    parser.add_argument("--windows", type=int, default=16)
    arguments = parser.parse_args()
    report: dict[str, object] = {"machine": msgspec.to_builtins(this_machine())}
    report |= {"window": WINDOW, "windows": arguments.windows}
    models = []
    for name in arguments.models:
        found, version = of_model(name, arguments.windows)
        report["peer"] = f"llama-cpp-python {version}"
        models.append(found)
        print(json.dumps(found), flush=True)
    report["models"] = models
    RESULTS.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    write_tables()


if __name__ == "__main__":
    main()
