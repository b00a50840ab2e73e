"""Texts made into vectors each second, by a server of ours and by transformers in one process.

    python -m benchmarks.embeddings

Both compute all-MiniLM-L6-v2 in F32 on the same cores; ours over HTTP, with texts in the order they
come, transformers with texts sorted by length, as its users do. The other environment is that of
`make fidelity-setup`.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from stoker.config.load import load
from stoker.config.paths import cache_folder
from stoker.model.pull import resolve
from tests.support.server import RunningServer, path_server

MODEL = "all-minilm:l6-v2"
WORDS = (
    "the quick brown fox jumps over the lazy dog while seventeen engineers measure how fast a "
    "small encoder can turn short english sentences into vectors on a few cores"
)
BATCHES = {1: 96, 32: 512}
"""Texts in a request → texts in all."""
FIDELITY = Path(".venv-fidelity/bin/python")
THEIRS = """
import json, sys, time, torch
from transformers import AutoModel, AutoTokenizer
folder, threads, batches, texts = json.load(sys.stdin)
torch.set_num_threads(threads)
tokenizer = AutoTokenizer.from_pretrained(folder)
model = AutoModel.from_pretrained(folder, dtype=torch.float32).eval()
def embed(batch):
    given = tokenizer(batch, return_tensors="pt", padding=True)
    mask = given["attention_mask"][..., None]
    with torch.inference_mode():
        mean = (model(**given).last_hidden_state * mask).sum(1) / mask.sum(1)
        return torch.nn.functional.normalize(mean)
embed(texts[:64])
rates = []
for size, count in batches:
    chosen = sorted(texts[:count], key=len)
    began = time.perf_counter()
    for i in range(0, count, size):
        embed(chosen[i : i + size])
    rates.append(count / (time.perf_counter() - began))
print(json.dumps(rates))
"""


def texts(count: int) -> list[str]:
    """Of 8 to 32 words, about 24 tokens each."""
    draw, words = random.Random(1), WORDS.split()
    return [" ".join(draw.choices(words, k=draw.choice((8, 16, 24, 32)))) for _ in range(count)]


def asker(server: RunningServer) -> Callable[[list[str]], None]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)

    def ask(batch: list[str]) -> None:
        body = {"model": MODEL, "input": batch, "encoding_format": "base64"}
        headers = {"content-type": "application/json"}
        connection.request("POST", "/v1/embeddings", json.dumps(body), headers)
        if len(json.loads(connection.getresponse().read())["data"]) != len(batch):
            raise RuntimeError("the server left texts out")

    return ask


def ours(folder: Path, given: list[str]) -> list[float]:
    rates = []
    with path_server(folder, MODEL) as server:
        ask = asker(server)
        ask(given[:64])
        for size, count in BATCHES.items():
            began = time.perf_counter()
            for i in range(0, count, size):
                ask(given[i : min(i + size, count)])
            rates.append(count / (time.perf_counter() - began))
    return rates


def theirs(folder: Path, given: list[str]) -> list[float]:
    question = json.dumps([str(folder), os.cpu_count(), list(BATCHES.items()), given])
    done = subprocess.run(
        [FIDELITY, "-c", THEIRS], input=question, capture_output=True, text=True, check=True
    )
    return list(json.loads(done.stdout))


def main() -> None:
    folder = resolve(MODEL, cache_folder(load().config.model))
    given = texts(max(BATCHES.values()))
    columns = {"stoker": ours(folder, given)}
    if FIDELITY.exists():
        columns["transformers"] = theirs(folder, given)
    else:
        print("transformers is not set up: make fidelity-setup", file=sys.stderr)
    for row, size in enumerate(BATCHES):
        rates = ", ".join(f"{name} {found[row]:.0f}" for name, found in columns.items())
        print(f"{size} texts a request: {rates} texts/s")


if __name__ == "__main__":
    main()
