"""The small random checkpoints of tests/golden/architectures, made again from their seeds."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from tests.support.seeded_weights import seeded_tensors

FOLDER = Path(__file__).parent.parent / "golden" / "architectures"
NAMES = sorted(path.stem for path in FOLDER.glob("*.json"))


@dataclass(frozen=True, slots=True)
class Golden:
    """A checkpoint and what transformers computes for it."""

    config: dict[str, Any]
    tensors: dict[str, NDArray[np.float32]]
    tokens: list[int]
    rows: list[int]
    logits: NDArray[np.float32]
    """Of those rows."""
    greedy: list[int]
    """The tokens that follow."""

    def write_folder(self, folder: Path) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        save_file(self.tensors, folder / "model.safetensors")
        (folder / "config.json").write_text(json.dumps(self.config))
        return folder


def golden(name: str) -> Golden:
    record = json.loads((FOLDER / f"{name}.json").read_text())
    return Golden(
        config=record["config"],
        tensors=seeded_tensors(record["shapes"], record["seed"]),
        tokens=record["tokens"],
        rows=record["rows"],
        logits=np.array(record["logits"], dtype=np.float32),
        greedy=record["greedy"],
    )
