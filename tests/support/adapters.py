"""The small adapters of tests/golden/adapters, made again from their seeds, and any other."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from tests.support.architectures import Golden, golden
from tests.support.seeded_weights import seeded_tensors

FOLDER = Path(__file__).parent.parent / "golden" / "adapters"
NAMES = sorted(path.stem for path in FOLDER.glob("*.json"))
WEIGHTS = "adapter_model.safetensors"
CONFIG = "adapter_config.json"


@dataclass(frozen=True, slots=True)
class GoldenAdapter:
    """An adapter and what PEFT computes with it."""

    name: str
    base_name: str
    record: dict[str, Any]

    @property
    def base(self) -> Golden:
        return golden(self.base_name)

    @property
    def rows(self) -> list[int]:
        return list(self.record["rows"])

    @property
    def logits(self) -> NDArray[np.float32]:
        return np.array(self.record["logits"], dtype=np.float32)

    @property
    def greedy(self) -> list[int]:
        return list(self.record["greedy"])

    def write_folder(self, folder: Path) -> Path:
        if not self.record["shapes"]:
            return Path(shutil.copytree(FOLDER / self.name, folder))
        tensors = seeded_tensors(self.record["shapes"], self.record["seed"])
        return write_adapter(folder, self.record["config"], tensors)


def golden_adapter(name: str) -> GoldenAdapter:
    record = json.loads((FOLDER / f"{name}.json").read_text())
    return GoldenAdapter(name, record["base"], record)


def write_adapter(
    folder: Path, config: dict[str, Any], tensors: dict[str, NDArray[np.float32]]
) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CONFIG).write_text(json.dumps(config))
    save_file(tensors, folder / WEIGHTS)
    return folder


def seeded_adapter(folder: Path, seed: int) -> Path:
    """For the llama checkpoint of tests/golden, another one for each seed."""
    record = golden_adapter("llama").record
    return write_adapter(folder, record["config"], seeded_tensors(record["shapes"], seed))


def changed(folder: Path, **keys: object) -> Path:
    """The adapter in the folder with other keys in its configuration."""
    path = folder / CONFIG
    path.write_text(json.dumps(json.loads(path.read_text()) | keys))
    return folder


def tensors_of(folder: Path) -> dict[str, NDArray[np.float32]]:
    return dict(load_file(folder / WEIGHTS))
