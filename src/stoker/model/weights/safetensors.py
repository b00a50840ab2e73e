"""Reads safetensors files: a bounded JSON header, and tensors as bytes.

As with GGUF, everything the header claims is compared with the file before it is believed (S31).
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stoker.errors import ModelFileError
from stoker.model.weights.interface import TensorInfo, TensorType

MAX_HEADER_BYTES = 64 * 1024 * 1024
MAX_TENSORS = 65_536
_TYPES = {"F32": TensorType.F32, "F16": TensorType.F16, "BF16": TensorType.BF16}


@dataclass(frozen=True, slots=True)
class _Extent:
    info: TensorInfo
    offset: int


class SafetensorsFile:
    """An open, checked file."""

    def __init__(self, path: Path, descriptor: int, extents: dict[str, _Extent]) -> None:
        self.path = path
        self._descriptor: int | None = descriptor
        self._extents = extents
        self.tensors = {name: extent.info for name, extent in extents.items()}

    @classmethod
    def open(cls, path: Path) -> SafetensorsFile:
        """Raises ModelFileError for any defect."""
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise ModelFileError(path, error.strerror or "cannot be opened") from None
        try:
            extents = _read_header(path, descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        return cls(path, descriptor, extents)

    def read(self, name: str) -> bytes:
        """Raises KeyError for an unknown name, ModelFileError when the file was cut short."""
        extent = self._extents[name]
        if self._descriptor is None:
            raise ModelFileError(self.path, "the file is closed")
        data = os.pread(self._descriptor, extent.info.num_bytes, extent.offset)
        while len(data) < extent.info.num_bytes:
            more = os.pread(
                self._descriptor, extent.info.num_bytes - len(data), extent.offset + len(data)
            )
            if not more:
                raise ModelFileError(self.path, f"tensor '{name}' is cut short")
            data += more
        return data

    def close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _read_header(path: Path, descriptor: int) -> dict[str, _Extent]:
    file_size = os.fstat(descriptor).st_size
    length = int.from_bytes(os.pread(descriptor, 8, 0), "little")
    if file_size < 8 or not 2 <= length <= min(MAX_HEADER_BYTES, file_size - 8):
        raise ModelFileError(path, "its header is longer than the file or the limit")
    try:
        header = json.loads(os.pread(descriptor, length, 8))
    except (ValueError, RecursionError):
        raise ModelFileError(path, "its header is not JSON") from None
    if not isinstance(header, dict) or len(header) > MAX_TENSORS:
        raise ModelFileError(path, "its header is not a table of tensors")
    start = 8 + length
    extents = {
        name: _extent(path, name, record, start, file_size - start)
        for name, record in header.items()
        if name != "__metadata__"
    }
    _check_overlap(path, extents)
    return extents


def _extent(path: Path, name: str, record: Any, start: int, data_size: int) -> _Extent:
    try:
        kind, shape, (begin, end) = record["dtype"], record["shape"], record["data_offsets"]
    except (KeyError, TypeError, ValueError):
        raise ModelFileError(path, f"tensor '{name}' is not described properly") from None
    if kind not in _TYPES:
        raise ModelFileError(path, f"tensor '{name}' has type {kind!r}; F32, F16 and BF16 are supported")
    if not isinstance(shape, list) or not 1 <= len(shape) <= 2 or not all(map(_is_extent, shape)):
        raise ModelFileError(path, f"tensor '{name}' has the shape {shape!r}")
    info = TensorInfo(name, _TYPES[kind], tuple(shape))
    if not (_is_offset(begin) and _is_offset(end) and begin <= end <= data_size):
        raise ModelFileError(path, f"tensor '{name}' lies outside the file")
    if end - begin != info.num_bytes:
        raise ModelFileError(path, f"tensor '{name}' has {end - begin} bytes, not {info.num_bytes}")
    return _Extent(info, start + begin)


def _is_extent(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value < 1 << 31


def _is_offset(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _check_overlap(path: Path, extents: dict[str, _Extent]) -> None:
    ordered = sorted(extents.values(), key=lambda extent: extent.offset)
    for before, after in zip(ordered, ordered[1:], strict=False):
        if before.offset + before.info.num_bytes > after.offset:
            raise ModelFileError(
                path, f"tensors '{before.info.name}' and '{after.info.name}' overlap"
            )
