"""Reads GGUF files: metadata as plain Python values, tensors as bytes.

A model file is untrusted input. Every count and offset is compared with the file's length before
anything is read or allocated, and any defect is a ModelFileError naming the file and the reason.
Tensors are read with pread, not mapped: a file cut short while serving is an error, not a signal
(docs/decisions/0004-read-not-map.md).
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from stoker.errors import ModelFileError
from stoker.model.pickled import looks_pickled
from stoker.model.weights.file import ModelFile
from stoker.model.weights.gguf_metadata import EndOfHeader, FormatError, MetadataReader, Value
from stoker.model.weights.interface import BLOCK, TensorInfo, TensorType
from stoker.model.weights.stored import Extent, StoredTensors

MAGIC = b"GGUF"
VERSIONS = (2, 3)
MAX_TENSORS = 65_536
MAX_VECTOR = 65_536
MAX_DIMENSIONS = 4
MAX_ALIGNMENT = 1 << 16
HEADER_SIZES = (16 << 20, 64 << 20, 256 << 20)
"""How much of the file to try as header: nearly always the first is enough."""
_TENSOR_NAME = re.compile(r"[\x21-\x7e]{1,128}")
_SMALLEST_TENSOR_RECORD = 8 + 1 + 4 + 8 + 4 + 8
_SMALLEST_METADATA_RECORD = 8 + 1 + 4 + 1


@dataclass(frozen=True, slots=True)
class _Header:
    metadata: dict[str, Value]
    spans: dict[str, tuple[int, int]]
    extents: dict[str, Extent]


class GgufFile(StoredTensors):
    """An open, checked GGUF file. Close it when done, or use it as a context manager."""

    def __init__(self, file: ModelFile, header: _Header) -> None:
        super().__init__(file, header.extents)
        self.metadata: Mapping[str, Value] = MappingProxyType(header.metadata)
        self._spans = header.spans

    @classmethod
    def open(cls, path: Path) -> GgufFile:
        """Parses the header and checks every extent. Raises ModelFileError for any defect."""
        file = ModelFile(path)
        try:
            return cls(file, _read_header(file))
        except FormatError as error:
            file.close()
            raise ModelFileError(path, str(error)) from None
        except BaseException:
            file.close()
            raise

    def without_metadata(self) -> StoredTensors:
        """The tensors alone. Closing either closes both."""
        return StoredTensors(self._file, self._extents)

    def floats(self, name: str) -> list[float]:
        """A small F32 vector. Raises ModelFileError for any other tensor."""
        info = self.tensors[name]
        if info.type is not TensorType.F32 or info.rows != 1 or info.columns > MAX_VECTOR:
            raise ModelFileError(self.path, f"tensor '{name}' is not a short F32 vector")
        return list(struct.unpack(f"<{info.columns}f", self.read(name)))

    def record(self, key: str) -> bytes:
        """A metadata entry as the file has it: key, type and value. Raises KeyError."""
        start, end = self._spans[key]
        return self._file.read(start, end - start, f"metadata '{key}'")

    def __enter__(self) -> GgufFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _read_header(file: ModelFile) -> _Header:
    for size in HEADER_SIZES:
        beginning = file.read(0, min(size, file.size), "its header")
        try:
            return _parse(beginning, file.size)
        except EndOfHeader:
            if size >= file.size:
                raise
    raise FormatError(f"the header claims more than {HEADER_SIZES[-1] >> 20} MiB")


def _parse(header: bytes, file_size: int) -> _Header:
    reader = MetadataReader(header)
    if reader.take(4) != MAGIC:
        pickled = " but a pickle, which could run code" if looks_pickled(header) else ""
        raise FormatError(f"not a GGUF file{pickled}")
    version = reader.u32()
    if version not in VERSIONS:
        raise FormatError(f"GGUF version {version} is not supported (2 and 3 are)")
    num_tensors = reader.count(MAX_TENSORS, _SMALLEST_TENSOR_RECORD, "tensors")
    num_values = reader.count(MAX_TENSORS, _SMALLEST_METADATA_RECORD, "metadata values")
    metadata = reader.metadata(num_values)
    alignment = _alignment(metadata)
    records = [_tensor_record(reader) for _ in range(num_tensors)]
    data_start = -(-reader.position // alignment) * alignment
    extents = _place(records, data_start, alignment, file_size)
    return _Header(metadata, reader.spans, extents)


def _alignment(metadata: dict[str, Value]) -> int:
    alignment = metadata.get("general.alignment", 32)
    if not isinstance(alignment, int) or isinstance(alignment, bool):
        raise FormatError("general.alignment is not an integer")
    if not 1 <= alignment <= MAX_ALIGNMENT or alignment & (alignment - 1):
        raise FormatError(f"alignment {alignment} is not a power of two up to {MAX_ALIGNMENT}")
    return alignment


def _tensor_record(reader: MetadataReader) -> tuple[TensorInfo, int]:
    name = reader.string()
    if not _TENSOR_NAME.fullmatch(name):
        raise FormatError("a tensor name is empty, too long or not printable")
    num_dimensions = reader.u32()
    if not 1 <= num_dimensions <= MAX_DIMENSIONS:
        raise FormatError(f"tensor '{name}' has {num_dimensions} dimensions")
    dimensions = [reader.u64() for _ in range(num_dimensions)]
    kind = reader.u32()
    offset = reader.u64()
    try:
        tensor_type = TensorType(kind)
    except ValueError:
        raise FormatError(
            f"tensor '{name}' has element type {kind}, which is not supported"
        ) from None
    return TensorInfo(name, tensor_type, _shape(name, tensor_type, dimensions)), offset


def _shape(name: str, tensor_type: TensorType, dimensions: list[int]) -> tuple[int, ...]:
    """Python order (slowest first), with trailing dimensions of one dropped."""
    while len(dimensions) > 1 and dimensions[-1] == 1:
        dimensions = dimensions[:-1]
    if len(dimensions) > 3:
        raise FormatError(f"tensor '{name}' has more than three dimensions")
    if any(not 1 <= extent < 1 << 31 for extent in dimensions):
        raise FormatError(f"tensor '{name}' has a dimension of zero or over 2^31")
    if dimensions[0] % BLOCK[tensor_type][0]:
        raise FormatError(f"tensor '{name}': rows do not fill whole {tensor_type.name} blocks")
    return tuple(reversed(dimensions))


def _place(
    records: list[tuple[TensorInfo, int]], data_start: int, alignment: int, file_size: int
) -> dict[str, Extent]:
    extents: dict[str, Extent] = {}
    for info, offset in records:
        if info.name in extents:
            raise FormatError(f"tensor '{info.name}' appears twice")
        if offset % alignment:
            raise FormatError(f"tensor '{info.name}' is not aligned to {alignment} bytes")
        start = data_start + offset
        if start + info.num_bytes > file_size:
            raise FormatError(f"tensor '{info.name}' reaches past the end of the file")
        extents[info.name] = Extent(info, start)
    return extents
