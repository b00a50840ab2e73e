"""Opens a Hugging Face model folder: config.json and safetensors, nothing that runs.

Code in the folder is never looked at, and pickled weights are refused by name (S03, S04).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stoker.errors import ModelFileError
from stoker.model.families.family import canonical_names
from stoker.model.fields import Fields
from stoker.model.load import Model
from stoker.model.registry import find_family
from stoker.model.weights.interface import TensorInfo
from stoker.model.weights.safetensors import SafetensorsFile
from stoker.model.weights.shapes import check_shapes

MAX_JSON_BYTES = 64 * 1024 * 1024
PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
_IGNORED = ("rotary_emb.inv_freq", "lm_head.weight")
"""Tensors some checkpoints carry that a decoder does not need: tables it computes, and a second
copy of a tied head."""


class FolderWeights:
    """Tensors of all shards under their canonical names."""

    def __init__(self, files: list[SafetensorsFile], names: dict[str, str]) -> None:
        self._files = files
        self._home = {name: file for file in files for name in file.tensors}
        self._names = names

    def names(self) -> Iterator[str]:
        return iter(self._names)

    def info(self, name: str) -> TensorInfo:
        stored = self._names[name]
        found = self._home[stored].tensors[stored]
        return TensorInfo(name, found.type, found.shape)

    def read(self, name: str) -> bytes:
        stored = self._names[name]
        return self._home[stored].read(stored)

    def close(self) -> None:
        for file in self._files:
            file.close()


def open_folder(path: Path) -> Model:
    """Raises ModelFileError or UnsupportedModel."""
    values = read_json(path / "config.json")
    config = Fields(path / "config.json", values)
    family = find_family(config.text("model_type"))
    spec = family.from_config(config)
    names = canonical_names(spec, family.hugging_face_names)
    files = _open_shards(path)
    try:
        tensors: dict[str, TensorInfo] = {}
        for file in files:
            repeated = tensors.keys() & file.tensors.keys()
            if repeated:
                raise ModelFileError(file.path, f"tensor '{min(repeated)}' is in two shards")
            tensors |= file.tensors
        ignored = [name for name in tensors if name.endswith(_IGNORED)]
        check_shapes(path, spec, names, tensors, ignore=ignored)
    except BaseException:
        for file in files:
            file.close()
        raise
    return Model(path, spec, FolderWeights(files, names), _metadata(path))


def _open_shards(path: Path) -> list[SafetensorsFile]:
    found = sorted(path.glob("*.safetensors"))
    if not found:
        pickled = [file.name for file in path.iterdir() if file.suffix in PICKLED]
        reason = f"'{pickled[0]}' is pickled, which can run code" if pickled else "no weights in it"
        raise ModelFileError(path, reason, hint="Only safetensors and GGUF files are opened.")
    files: list[SafetensorsFile] = []
    try:
        for file in found:
            files.append(SafetensorsFile.open(file))
    except BaseException:
        for opened in files:
            opened.close()
        raise
    return files


def _metadata(path: Path) -> dict[str, Any]:
    """What the text layer reads, under names of its own."""
    files = ("tokenizer.json", "tokenizer_config.json", "generation_config.json", "config.json")
    metadata: dict[str, Any] = {
        name: read_json(path / name) for name in files if (path / name).is_file()
    }
    template = path / "chat_template.jinja"
    if template.is_file():
        metadata["chat_template.jinja"] = template.read_text(encoding="utf-8")
    return metadata


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a bounded file. Raises ModelFileError."""
    try:
        if path.stat().st_size > MAX_JSON_BYTES:
            raise ModelFileError(path, f"is larger than {MAX_JSON_BYTES >> 20} MiB")
        value = json.loads(path.read_bytes())
    except OSError as error:
        raise ModelFileError(path, error.strerror or "cannot be read") from None
    except (ValueError, RecursionError):
        raise ModelFileError(path, "is not JSON") from None
    if not isinstance(value, dict):
        raise ModelFileError(path, "is not a JSON object")
    return value
