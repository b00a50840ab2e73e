"""Reads GGUF files: metadata as plain Python values, tensors as bytes.

A model file is untrusted input. Every count and offset is compared with the file's length before
anything is read or allocated, and any defect is a ModelFileError naming the file and the reason.
Tensors are read with pread, not mapped: a file cut short while serving is an error, not a signal
(docs/decisions/0003-read-not-map.md).
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from stoker.errors import ModelFileError
from stoker.model.weights.gguf_metadata import EndOfHeader, FormatError, MetadataReader, Value
from stoker.model.weights.interface import BLOCK, TensorInfo, TensorType

if TYPE_CHECKING:
    from collections.abc import Mapping

MAGIC = b"GGUF"
VERSIONS = (2, 3)
MAX_TENSORS = 65_536
MAX_DIMENSIONS = 4
MAX_ALIGNMENT = 1 << 16
HEADER_SIZES = (16 << 20, 64 << 20, 256 << 20)
"""How much of the file to try as header: nearly always the first is enough."""
_TENSOR_NAME = re.compile(r"[\x21-\x7e]{1,128}")
_SMALLEST_TENSOR_RECORD = 8 + 1 + 4 + 8 + 4 + 8
_SMALLEST_METADATA_RECORD = 8 + 1 + 4 + 1


@dataclass(frozen=True, slots=True)
class _Extent:
    """Where a tensor's bytes are, from the start of the file."""

    info: TensorInfo
    offset: int


class GgufFile:
    """An open, checked GGUF file. Close it when done, or use it as a context manager."""

    def __init__(
        self,
        path: Path,
        descriptor: int,
        metadata: Mapping[str, Value],
        extents: dict[str, _Extent],
    ) -> None:
        self.path = path
        self.metadata = metadata
        self.tensors: Mapping[str, TensorInfo] = MappingProxyType(
            {name: extent.info for name, extent in extents.items()}
        )
        self._extents = extents
        self._descriptor: int | None = descriptor

    @classmethod
    def open(cls, path: Path) -> GgufFile:
        """Parses the header and checks every extent. Raises ModelFileError for any defect."""
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise ModelFileError(path, error.strerror or "cannot be opened") from None
        try:
            metadata, extents = _read_header(descriptor)
        except FormatError as error:
            os.close(descriptor)
            raise ModelFileError(path, str(error)) from None
        except OSError as error:
            os.close(descriptor)
            raise ModelFileError(path, error.strerror or "cannot be read") from None
        except BaseException:
            os.close(descriptor)
            raise
        return cls(path, descriptor, MappingProxyType(metadata), extents)

    def read(self, name: str) -> bytes:
        """A tensor's bytes. Raises KeyError for an unknown name, ModelFileError if cut short."""
        extent = self._extents[name]
        if self._descriptor is None:
            raise ModelFileError(self.path, "the file is closed")
        wanted = extent.info.num_bytes
        pieces = []
        done = 0
        while done < wanted:
            piece = os.pread(self._descriptor, wanted - done, extent.offset + done)
            if not piece:
                raise ModelFileError(self.path, f"tensor '{name}' is cut short")
            pieces.append(piece)
            done += len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> GgufFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _read_header(descriptor: int) -> tuple[dict[str, Value], dict[str, _Extent]]:
    file_size = os.fstat(descriptor).st_size
    for size in HEADER_SIZES:
        header = os.pread(descriptor, min(size, file_size), 0)
        try:
            return _parse(header, file_size)
        except EndOfHeader:
            if size >= file_size:
                raise
    raise FormatError(f"the header is longer than {HEADER_SIZES[-1] >> 20} MiB")


def _parse(header: bytes, file_size: int) -> tuple[dict[str, Value], dict[str, _Extent]]:
    reader = MetadataReader(header)
    if reader.take(4) != MAGIC:
        raise FormatError("not a GGUF file")
    version = reader.u32()
    if version not in VERSIONS:
        raise FormatError(f"GGUF version {version} is not supported (2 and 3 are)")
    num_tensors = reader.count(MAX_TENSORS, _SMALLEST_TENSOR_RECORD, "tensors")
    num_values = reader.count(MAX_TENSORS, _SMALLEST_METADATA_RECORD, "metadata values")
    metadata = reader.metadata(num_values)
    alignment = _alignment(metadata)
    records = [_tensor_record(reader) for _ in range(num_tensors)]
    data_start = -(-reader.position // alignment) * alignment
    return metadata, _place(records, data_start, alignment, file_size)


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
    if len(dimensions) > 2:
        raise FormatError(f"tensor '{name}' has more than two dimensions")
    if any(not 1 <= extent < 1 << 31 for extent in dimensions):
        raise FormatError(f"tensor '{name}' has a dimension of zero or over 2^31")
    if dimensions[0] % BLOCK[tensor_type][0]:
        raise FormatError(f"tensor '{name}': rows do not fill whole {tensor_type.name} blocks")
    return tuple(reversed(dimensions))


def _place(
    records: list[tuple[TensorInfo, int]], data_start: int, alignment: int, file_size: int
) -> dict[str, _Extent]:
    extents: dict[str, _Extent] = {}
    for info, offset in records:
        if info.name in extents:
            raise FormatError(f"tensor '{info.name}' appears twice")
        if offset % alignment:
            raise FormatError(f"tensor '{info.name}' is not aligned to {alignment} bytes")
        start = data_start + offset
        if start + info.num_bytes > file_size:
            raise FormatError(f"tensor '{info.name}' reaches past the end of the file")
        extents[info.name] = _Extent(info, start)
    return extents
