"""What transformers computes for small random encoders: as architectures.py does for decoders.

A file holds the config, names and shapes of the tensors, a seed for their values, tokens of two
texts and where the second begins; then the last hidden states of some positions, their mean over
all, and, where there is a classification head, its logits.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.numpy import save_file
from transformers import BertConfig, BertForSequenceClassification, BertModel

from tests.golden.architectures import SEED, stored_shapes
from tests.support.seeded_weights import seeded_tensors

FOLDER = Path(__file__).parent / "encoders"
LENGTH, SECOND, ROWS = 40, 17, (0, 20, 39)
PLAIN = {
    "vocab_size": 96,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "max_position_embeddings": 128,
}
CONFIGS: dict[str, tuple[type[torch.nn.Module], dict[str, Any]]] = {
    "bert": (BertModel, PLAIN),
    "bert-score": (BertForSequenceClassification, PLAIN | {"num_labels": 1}),
    "bert-labels": (
        BertForSequenceClassification,
        PLAIN | {"num_labels": 3, "hidden_act": "gelu_new"},
    ),
}


def compute(name: str) -> dict[str, Any]:
    kind, settings = CONFIGS[name]
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        kind(BertConfig(**settings)).save_pretrained(folder)
        shapes = stored_shapes(folder)
        save_file(
            seeded_tensors(shapes, SEED), folder / "model.safetensors", metadata={"format": "pt"}
        )
        model = kind.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager")
        written = json.loads((folder / "config.json").read_text())
    tokens = np.random.default_rng(SEED).integers(0, 96, LENGTH).tolist()
    states, labels = outputs(model.eval(), tokens)
    return {
        "config": written,
        "seed": SEED,
        "shapes": shapes,
        "tokens": tokens,
        "second_part": SECOND,
        "rows": ROWS,
        "states": [rounded(states[row]) for row in ROWS],
        "mean": rounded(states.mean(axis=0)),
        "labels": rounded(labels),
    }


def outputs(model: torch.nn.Module, tokens: list[int]) -> tuple[np.ndarray, np.ndarray]:
    types = [int(i >= SECOND) for i in range(len(tokens))]
    given = {"input_ids": torch.tensor([tokens]), "token_type_ids": torch.tensor([types])}
    with torch.inference_mode():
        found = model(**given, output_hidden_states=True)
    labels = found.logits[0].numpy() if "logits" in found else np.zeros(0)
    return found.hidden_states[-1][0].numpy(), labels


def rounded(values: np.ndarray) -> list[float]:
    return [round(float(x), 6) for x in values]


def differs(name: str, computed: dict[str, Any]) -> bool:
    kept = json.loads((FOLDER / f"{name}.json").read_text())
    same = all(kept[key] == computed[key] for key in ("shapes", "tokens"))
    numbers = ("states", "mean", "labels")
    return not same or not all(np.allclose(kept[k], computed[k], atol=1e-4) for k in numbers)


def main() -> None:
    command, *names = sys.argv[1:]
    wrong = []
    for name in names or CONFIGS:
        computed = compute(name)
        if command == "check":
            wrong += [name] if differs(name, computed) else []
        else:
            text = json.dumps(computed, indent=None, separators=(",", ":"))
            (FOLDER / f"{name}.json").write_text(text.replace('],"', '],\n"') + "\n")
        print(name, flush=True)
    sys.exit(f"transformers computes something else for {', '.join(wrong)}" if wrong else 0)


if __name__ == "__main__":
    main()
