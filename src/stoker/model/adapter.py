"""Reads a LoRA adapter (PEFT's layout) as what is added to a model's canonical matrices.

An adapter speaks of the checkpoint it was trained on. The model may be stored differently: q, k
and v in one tensor, or rows of q and k in another order. The family's own names say which rows of
B belong to which matrix, and the spec's rope how they are ordered.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stoker.errors import ConfigError
from stoker.model.adapter_config import AdapterConfig, read_adapter_config
from stoker.model.families.naming import locate_some
from stoker.model.registry import find_family
from stoker.model.spec import DecoderSpec, RopeStyle
from stoker.model.tensors import tensor_shapes
from stoker.model.weights.interface import TensorInfo, TensorType
from stoker.model.weights.pieces import Piece
from stoker.model.weights.safetensors import SafetensorsFile

WEIGHTS = "adapter_model.safetensors"
TARGETS = ("q", "k", "v", "o", "gate", "up", "down")
_PREFIX = "base_model.model."
_A, _B, _WEIGHT = ".lora_A.weight", ".lora_B.weight", ".weight"

Rows = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Factor:
    """A matrix in the type it is stored in."""

    type: TensorType
    shape: tuple[int, int]
    rows: Rows
    """Bytes, one row of the matrix a row."""


@dataclass(frozen=True, slots=True)
class LowRank:
    """scale · B·A, added to one matrix."""

    name: str
    """Canonical; see model/tensors.py."""
    scale: float
    a: Factor
    b: Factor


def read_adapter(folder: Path, spec: DecoderSpec) -> tuple[LowRank, ...]:
    """Raises ConfigError for what is not supported or does not fit the model, ModelFileError for
    a defect of the files."""
    config = read_adapter_config(folder)
    file = SafetensorsFile.open(folder / WEIGHTS)
    try:
        return _Reader(file, config, spec).read()
    finally:
        file.close()


class _Reader:
    def __init__(self, file: SafetensorsFile, config: AdapterConfig, spec: DecoderSpec) -> None:
        self._file = file
        self._config = config
        self._spec = spec
        self._modules = _modules(file)

    def read(self) -> tuple[LowRank, ...]:
        shapes = tensor_shapes(self._spec)
        wanted = [name for name in shapes if name.rpartition(".")[2] in TARGETS]
        present = {module + _WEIGHT for module in self._modules}
        names = find_family(self._spec.family).hugging_face_names
        pieces = locate_some(self._spec, names, present, wanted)
        places = {name: piece for name, (piece,) in pieces.items() if piece.stored in present}
        self._refuse_homeless(present - {piece.stored for piece in places.values()})
        return tuple(self._pair(name, piece) for name, piece in places.items())

    def _refuse_homeless(self, left: set[str]) -> None:
        """One without a place would be left out in silence."""
        if left:
            module = min(left).removesuffix(_WEIGHT)
            raise self._error(f"a {self._spec.family} model has nothing to adapt at '{module}'")

    def _pair(self, name: str, piece: Piece) -> LowRank:
        module = piece.stored.removesuffix(_WEIGHT)
        targets = self._config.targets
        if targets and not module.endswith(targets):
            raise self._error(f"'{module}' is not among its target_modules")
        rank, (rows, columns) = self._config.rank, piece.shape
        a = self._factor(module + _A, (rank, columns))
        b = self._factor(module + _B, (rows, rank))
        cut = b.rows.reshape(piece.groups, rows // piece.groups, -1)[:, piece.begin : piece.end]
        own = self._in_order(name, cut.reshape(-1, b.rows.shape[1]))
        return LowRank(name, self._config.scale, a, Factor(b.type, (len(own), rank), own))

    def _factor(self, name: str, shape: tuple[int, int]) -> Factor:
        info = self._modules[name.removesuffix(_A).removesuffix(_B)].get(name[-len(_A) :])
        if info is None:
            raise self._error(f"tensor '{name}' is missing")
        if info.shape != shape:
            raise self._error(f"tensor '{name}' is {info.shape}, the model needs {shape}")
        data = np.frombuffer(self._file.read(info.name), dtype=np.uint8)
        return Factor(info.type, shape, data.reshape(shape[0], -1))

    def _in_order(self, name: str, rows: Rows) -> Rows:
        """Rows of B as the model has those of the matrix. Checkpoints rotate element i of a head
        with i + dim / 2; a file that rotates neighbours has each pair side by side."""
        _, layer, kind = name.split(".")
        rope = self._spec.layers[int(layer)].rope
        if kind not in ("q", "k") or rope is None or rope.style is RopeStyle.HALVES:
            return np.ascontiguousarray(rows)
        if rope.dim != self._spec.head_dim:
            raise self._error("adapters of models that rotate part of a head are not supported")
        heads = rows.reshape(-1, 2, rope.dim // 2, rows.shape[1])
        return np.ascontiguousarray(heads.swapaxes(1, 2)).reshape(rows.shape)

    def _error(self, what: str) -> ConfigError:
        return _misfit(self._file, what)


def _misfit(file: SafetensorsFile, what: str) -> ConfigError:
    return ConfigError(
        f"{file.path}: {what}", hint="The adapter must have been trained on the model it is for."
    )


def _modules(file: SafetensorsFile) -> Mapping[str, Mapping[str, TensorInfo]]:
    """The tensors of each adapted module by how their names end."""
    modules: dict[str, dict[str, TensorInfo]] = {}
    for name, info in file.tensors.items():
        kind = next((end for end in (_A, _B) if name.endswith(end)), None)
        if kind is None or not name.startswith(_PREFIX):
            raise _misfit(file, f"tensor '{name}' is not a part of a plain LoRA adapter")
        module = name.removeprefix(_PREFIX).removesuffix(kind)
        modules.setdefault(module, {})[kind] = info
    if not modules:
        raise _misfit(file, "it adapts nothing")
    return modules
