"""Our logits beside those of transformers in float32: writes benchmarks/results/fidelity.json.

For each model the weights are dequantised once and run through transformers (in an environment of
its own, `make fidelity-setup`), through the NumPy reference decoder in float32, and through the
native core, which quantises activations to int8. What the reference differs by is a defect; what
the native core differs by is the price of its arithmetic. Families without a file of their own are
compared on small random checkpoints that transformers wrote.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
from fidelity_text import BUILD, CHAT, CODE, open_named, paradise_lost, starts
from hugging_face_folder import write_folder
from tables import write_tables

from stoker.bench.machine import this_machine, usable_cores
from stoker.executor.native import NativeExecutor, NativeOptions
from stoker.kernels.reference.decoder import ReferenceDecoder
from stoker.model.load import Model, open_model

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "fidelity.json"
MODELS = ["smollm2:135m", "qwen2.5-coder:0.5b", "qwen2.5-coder:1.5b", "gemma3:270m"]
FAMILIES = ["llama", "mistral", "qwen2", "qwen3", "gemma3"]
LONGEST = 640
"""Tokens of prose: beyond Gemma's window of 512, so that the window is compared too."""


class Difference:
    """Sums up how far logits are from those taken as right."""

    def __init__(self) -> None:
        self.largest = 0.0
        self.divergence = 0.0
        self.agreed = 0
        self.rows = 0

    def add(self, right: np.ndarray, other: np.ndarray) -> None:
        for wanted, found in zip(right, other, strict=True):
            self.largest = max(self.largest, float(np.abs(wanted - found).max()))
            p, q = log_softmax(wanted), log_softmax(found)
            self.divergence += float(np.sum(np.exp(p) * (p - q)))
            self.agreed += int(wanted.argmax() == found.argmax())
            self.rows += 1

    def report(self) -> dict[str, float]:
        return {
            "largest_difference": float(f"{self.largest:.3g}"),
            "mean_kl": float(f"{max(0.0, self.divergence / self.rows):.3g}"),
            "top1_agreement": round(self.agreed / self.rows, 4),
        }


def log_softmax(logits: np.ndarray) -> np.ndarray:
    wide = logits.astype(np.float64)
    wide -= wide.max()
    return wide - np.log(np.exp(wide).sum())


def transformers(command: str, source: str, sequences: list[list[int]], out: Path) -> str:
    """Leaves logits in OUT/0.npy and so on; returns the version that computed them."""
    tokens = out / "tokens.json"
    tokens.write_text(json.dumps(sequences))
    python = ROOT / ".venv-fidelity" / "bin" / "python"
    runner = ROOT / "benchmarks" / "transformers_runner.py"
    arguments = [str(python), str(runner), command, source, str(tokens), str(out)]
    subprocess.run(arguments, check=True, stderr=subprocess.DEVNULL)
    return (out / "version").read_text()


def native(model: Model, sequences: list[list[int]]) -> Iterator[np.ndarray]:
    kv_bytes = model.spec.kv_values_per_token * 2 * (LONGEST + 64)
    options = NativeOptions(threads=usable_cores(), kv_bytes=kv_bytes, max_context=LONGEST)
    executor = NativeExecutor(model, options)
    executor.load()
    for tokens in sequences:
        yield executor.forward_logits(tokens)


def compare(model: Model, sequences: list[list[int]], folder: Path) -> dict[str, object]:
    reference = ReferenceDecoder(model.spec, model.weights)
    differences = {"reference": Difference(), "native": Difference()}
    for number, computed in enumerate(native(model, sequences)):
        right = np.load(folder / f"{number}.npy")
        differences["native"].add(right, computed)
        differences["reference"].add(right, reference.forward(sequences[number]))
    positions = sum(map(len, sequences))
    reports = {name: difference.report() for name, difference in differences.items()}
    return {"positions": positions} | reports


def of_model(name: str) -> tuple[dict[str, object], str]:
    model, tokenizer = open_named(name)
    first = starts(tokenizer, model)
    prose = tokenizer.encode(paradise_lost()[:8000])[: LONGEST - 1]
    sequences = [first + tokens for tokens in (prose, *map(tokenizer.encode, (CODE, CHAT)))]
    with tempfile.TemporaryDirectory(dir=BUILD) as folder:
        write_folder(model, Path(folder))
        version = transformers("logits", folder, sequences, Path(folder))
        found = compare(model, sequences, Path(folder))
    model.close()
    return {"model": name} | found, version


def of_family(family: str) -> dict[str, object]:
    generator = np.random.default_rng(11)
    sequences = [generator.integers(0, 320, length).tolist() for length in (1, 17, 150)]
    with tempfile.TemporaryDirectory(dir=BUILD) as folder:
        transformers("tiny", family, sequences, Path(folder))
        model = open_model(Path(folder))
        found = compare(model, sequences, Path(folder))
        model.close()
    return {"family": family} | found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", default=MODELS, help="catalog names or GGUF files")
    arguments = parser.parse_args()
    BUILD.mkdir(parents=True, exist_ok=True)
    report: dict[str, object] = {"machine": msgspec.to_builtins(this_machine())}
    report["families"] = [of_family(family) for family in FAMILIES]
    print(json.dumps(report["families"], indent=2), flush=True)
    models = []
    for name in arguments.models:
        found, report["peer"] = of_model(name)
        models.append(found)
        print(json.dumps(found), flush=True)
    report["models"] = models
    RESULTS.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    write_tables()


if __name__ == "__main__":
    main()
