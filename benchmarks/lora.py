"""Adapters of smollm2:135m: what PEFT computes with a trained one beside what we do, and tokens a
second in a batch of eight with none, one and four. Writes benchmarks/results/lora.json.

Needs `make fidelity-setup`.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import msgspec
import numpy as np
from fidelity_text import BUILD, open_named
from hugging_face_folder import write_folder

from stoker import LLM, SamplingParams
from stoker.bench.machine import this_machine, usable_cores
from stoker.executor.native import NativeExecutor, NativeOptions
from stoker.kernels.adapter import load_adapter
from stoker.kernels.reference.adapter import FloatAdapter
from stoker.kernels.reference.decoder import ReferenceDecoder
from stoker.model.adapter import read_adapter

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "lora.json"
MODEL = "smollm2:135m"
VERSE = "The stoker feeds the engine coal, the engine feeds the crew with light and purple rain."
STEPS, BATCH, NEW, ROUNDS = 30, 8, 48, 3


def compared(adapter: Path) -> dict[str, object]:
    """Trains an adapter into the folder."""
    model, tokenizer = open_named(MODEL)
    learn = tokenizer.encode(VERSE)
    with tempfile.TemporaryDirectory(dir=BUILD) as place:
        write_folder(model, Path(place))
        source = Path(place) / "tokens.json"
        source.write_text(json.dumps({"learn": learn, "prompt": learn[:3]}))
        python = ROOT / ".venv-fidelity" / "bin" / "python"
        runner = ROOT / "benchmarks" / "lora_runner.py"
        subprocess.run(
            [str(python), str(runner), place, str(source), str(adapter), str(STEPS)], check=True
        )
    right = np.load(adapter / "logits.npy")
    greedy = json.loads((adapter / "greedy.json").read_text())
    pairs = read_adapter(adapter, model.spec)
    reference = ReferenceDecoder(model.spec, model.weights, adapter=FloatAdapter(pairs))
    options = NativeOptions(threads=usable_cores(), kv_bytes=1 << 24, max_context=256)
    executor = NativeExecutor(model, options)
    executor.load()
    packed = load_adapter(executor.decoder, pairs)
    tokens = learn[:3]
    for _ in greedy:
        tokens.append(int(executor.forward_logits(tokens, packed)[-1].argmax()))
    found = {
        "reference_largest_difference": largest(right, reference.forward(learn)),
        "native_largest_difference": largest(right, executor.forward_logits(learn, packed)),
        "base_largest_difference": largest(right, executor.forward_logits(learn)),
        "greedy_equal": tokens[3:] == greedy,
        "says": tokenizer.decode(tokens),
    }
    executor.close()
    return found


def largest(right: np.ndarray, other: np.ndarray) -> float:
    return float(f"{np.abs(right - other).max():.3g}")


def speeds(adapter: Path) -> dict[str, float]:
    """The best of some rounds, decoding alone; the other adapters are copies of the first."""
    names = [f"a{number}" for number in range(4)]
    with LLM(
        MODEL, adapters=dict.fromkeys(names, str(adapter)), max_running=BATCH, speculation="off"
    ) as llm:
        kinds = {
            "none": [""] * BATCH,
            "one": ["a0"] * BATCH,
            "four": [names[number % 4] for number in range(BATCH)],
        }
        best = dict.fromkeys(kinds, 0.0)
        for _ in range(ROUNDS):
            for kind, chosen in kinds.items():
                best[kind] = max(best[kind], tokens_per_second(llm, chosen))
    return {kind: round(value, 1) for kind, value in best.items()}


def tokens_per_second(llm: LLM, adapters: list[str]) -> float:
    """Streams abreast, from the first token of the last one on."""
    sampling = SamplingParams(max_tokens=NEW, ignore_eos=True)
    prompts = [f"{number} {VERSE}" for number in range(len(adapters))]
    streams = [
        llm.stream(prompt, sampling, adapter=adapter)
        for prompt, adapter in zip(prompts, adapters, strict=True)
    ]
    for stream in streams:
        next(stream)
    began = time.perf_counter()
    for stream in streams:
        for _ in stream:
            pass
    return (NEW - 1) * len(streams) / (time.perf_counter() - began)


def main() -> None:
    BUILD.mkdir(parents=True, exist_ok=True)
    adapter = BUILD / "lora"
    shutil.rmtree(adapter, ignore_errors=True)
    result = {
        "machine": msgspec.to_builtins(this_machine()),
        "model": MODEL,
        "fidelity": compared(adapter),
        "tokens_per_second_in_a_batch_of_8": speeds(adapter),
    }
    RESULTS.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
