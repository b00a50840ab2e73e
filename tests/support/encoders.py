"""The small random encoders of tests/golden/encoders, made again from their seeds, and a WordPiece
tokenizer for them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from tests.support.seeded_weights import seeded_tensors

FOLDER = Path(__file__).parent.parent / "golden" / "encoders"
NAMES = sorted(path.stem for path in FOLDER.glob("*.json"))
Floats = NDArray[np.float32]

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
WORDS = [*SPECIAL, *"abcdefghijklmnopqrstuvwxyz", *(f"##{x}" for x in "abcdefghijklmnopqrstuvwxyz")]
VOCABULARY = [*WORDS, "the", "cat", "dog", "##ing", "sat", ".", "[", "]"]


@dataclass(frozen=True, slots=True)
class GoldenEncoder:
    """A checkpoint and what transformers computes for it."""

    config: dict[str, Any]
    tensors: dict[str, Floats]
    tokens: list[int]
    second_part: int
    rows: list[int]
    states: Floats
    """Last hidden states of those rows."""
    mean: Floats
    labels: Floats
    """Logits of the classification head; empty without one."""

    def write_folder(self, folder: Path) -> Path:
        """With a tokenizer that has as many words as the model."""
        folder.mkdir(parents=True, exist_ok=True)
        save_file(self.tensors, folder / "model.safetensors")
        (folder / "config.json").write_text(json.dumps(self.config))
        words = VOCABULARY + [f"word{i}" for i in range(len(VOCABULARY), self.config["vocab_size"])]
        (folder / "vocab.txt").write_text("\n".join(words) + "\n")
        return folder


def golden_encoder(name: str) -> GoldenEncoder:
    record = json.loads((FOLDER / f"{name}.json").read_text())
    arrays = {key: np.array(record[key], dtype=np.float32) for key in ("states", "mean", "labels")}
    return GoldenEncoder(
        config=record["config"],
        tensors=seeded_tensors(record["shapes"], record["seed"]),
        tokens=record["tokens"],
        second_part=record["second_part"],
        rows=record["rows"],
        **arrays,
    )
