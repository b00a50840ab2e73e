"""Tensors at known places of one file: what a GGUF file and a safetensors file have in common."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from stoker.model.weights.file import ModelFile
from stoker.model.weights.interface import TensorInfo


@dataclass(frozen=True, slots=True)
class Extent:
    """Where a tensor's bytes are, from the start of the file."""

    info: TensorInfo
    offset: int


class StoredTensors:
    """An open file whose extents were checked. Close it when done."""

    def __init__(self, file: ModelFile, extents: Mapping[str, Extent]) -> None:
        self.path = file.path
        self.tensors: Mapping[str, TensorInfo] = MappingProxyType(
            {name: extent.info for name, extent in extents.items()}
        )
        self._extents = extents
        self._file = file

    def read(self, name: str) -> memoryview:
        """A tensor's bytes. Raises KeyError for an unknown name, ModelFileError if cut short."""
        extent = self._extents[name]
        return self._file.read_pages(extent.offset, extent.info.num_bytes, f"tensor '{name}'")

    def close(self) -> None:
        self._file.close()


class StoredWeights:
    """The tensors of a file as they are, under the file's own names."""

    def __init__(self, file: StoredTensors) -> None:
        self._file = file

    def names(self) -> Iterator[str]:
        return iter(self._file.tensors)

    def info(self, name: str) -> TensorInfo:
        return self._file.tensors[name]

    def read(self, name: str) -> memoryview:
        return self._file.read(name)

    def close(self) -> None:
        self._file.close()
