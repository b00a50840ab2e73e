"""Opens a Hugging Face model folder: config.json and safetensors, nothing that runs.

Code in the folder is never looked at, and pickled weights are refused by name (S03, S04).
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from stoker.errors import ModelFileError
from stoker.model.families.family import Family
from stoker.model.families.naming import locate
from stoker.model.fields import Fields
from stoker.model.json_file import read_json
from stoker.model.load import Model
from stoker.model.multimodal import OTHER_PARTS, stored_names, text_config
from stoker.model.pickled import SAFE_FORMATS, refuse_pickled
from stoker.model.registry import find_family
from stoker.model.sentence_files import with_pooling
from stoker.model.tensors import tensor_shapes
from stoker.model.weights.interface import TensorInfo
from stoker.model.weights.pieces import PiecedWeights
from stoker.model.weights.safetensors import SafetensorsFile
from stoker.model.weights.shapes import check_shapes

INDEX = "model.safetensors.index.json"
_SHARD_NAME = re.compile(r"[A-Za-z0-9_][\w.-]{0,200}\.safetensors")
MAX_TEXT_BYTES = 4 << 20
_IGNORED = ("rotary_emb.inv_freq", "lm_head.weight")
"""Tensors some checkpoints carry that a decoder does not need: tables it computes, and a second
copy of a tied head."""


class FolderTensors:
    """Tensors of all shards under the names a folder of the text model alone would have."""

    def __init__(self, path: Path, files: list[SafetensorsFile]) -> None:
        """Raises ModelFileError for a name in two shards."""
        self._files = files
        self._home: dict[str, SafetensorsFile] = {}
        for file in files:
            repeated = self._home.keys() & file.tensors.keys()
            if repeated:
                raise ModelFileError(file.path, f"tensor '{min(repeated)}' is in two shards")
            self._home |= dict.fromkeys(file.tensors, file)
        self._names = stored_names(path, self._home)

    @property
    def tensors(self) -> dict[str, TensorInfo]:
        return {plain: self._home[name].tensors[name] for plain, name in self._names.items()}

    def read(self, name: str) -> memoryview:
        stored = self._names[name]
        return self._home[stored].read(stored)

    def close(self) -> None:
        for file in self._files:
            file.close()


def open_folder(path: Path) -> Model:
    """Raises ModelFileError or UnsupportedModel."""
    config = Fields(path / "config.json", read_json(path / "config.json"))
    family = find_family(config.text("model_type"))
    spec = with_pooling(path, family.from_config(text_config(config)))
    with contextlib.ExitStack() as opened:
        files = FolderTensors(path, _open_shards(path, family, opened))
        tensors = files.tensors
        sources = locate(spec, family.hugging_face_names, tensors)
        ignored = [name for name in tensors if name.endswith((*_IGNORED, *family.spare))]
        check_shapes(path, spec, sources, tensors, ignore=ignored)
        weights = PiecedWeights(files, sources, tensor_shapes(spec))
        model = Model(path, spec, weights, _metadata(path))
        opened.pop_all()
    return model


def _open_shards(path: Path, family: Family, opened: contextlib.ExitStack) -> list[SafetensorsFile]:
    def ignored(name: str) -> bool:
        return name.startswith(OTHER_PARTS) or name.endswith(family.ignored)

    files = []
    for shard in _shards(path):
        file = SafetensorsFile.open(shard, ignored)
        opened.callback(file.close)
        files.append(file)
    return files


def _shards(path: Path) -> list[Path]:
    """The files the index names; without an index, model.safetensors or every one there is."""
    if (path / INDEX).is_file():
        return _indexed(path)
    if (path / "model.safetensors").is_file():
        return [path / "model.safetensors"]
    found = sorted(path.glob("*.safetensors"))
    if not found:
        refuse_pickled(sorted(path.iterdir()))
        raise ModelFileError(path, "there are no weights in it", hint=SAFE_FORMATS)
    return found


def _indexed(path: Path) -> list[Path]:
    table = read_json(path / INDEX).get("weight_map")
    names = set(table.values()) if isinstance(table, dict) and _all_text(table.values()) else set()
    if not names or not all(_SHARD_NAME.fullmatch(name) for name in names):
        raise ModelFileError(path / INDEX, "does not map tensors to files of its folder")
    return [path / name for name in sorted(names)]


def _all_text(values: Iterable[object]) -> bool:
    return all(isinstance(value, str) for value in values)


def _metadata(path: Path) -> dict[str, Any]:
    """What the text layer reads, under names of its own."""
    files = ("tokenizer.json", "tokenizer_config.json", "generation_config.json", "config.json")
    metadata: dict[str, Any] = {
        name: read_json(path / name) for name in files if (path / name).is_file()
    }
    words = path / "vocab.txt"
    if words.is_file() and "tokenizer.json" not in metadata:
        metadata["vocab.txt"] = _read_text(words)
    template = path / "chat_template.jinja"
    if template.is_file():
        metadata["chat_template.jinja"] = _read_text(template)
    return metadata


def _read_text(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_TEXT_BYTES:
            raise ModelFileError(path, f"is larger than {MAX_TEXT_BYTES >> 20} MiB")
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ModelFileError(path, error.strerror or "cannot be read") from None
    except UnicodeDecodeError:
        raise ModelFileError(path, "is not UTF-8") from None
