"""Reads safetensors files: a bounded JSON header, and tensors as bytes.

As with GGUF, everything the header claims is compared with the file before it is believed (S31).
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from stoker.errors import ModelFileError
from stoker.model.weights.file import ModelFile
from stoker.model.weights.interface import TensorInfo, TensorType
from stoker.model.weights.stored import Extent, StoredTensors

MAX_HEADER_BYTES = 64 * 1024 * 1024
MAX_TENSORS = 65_536
_TENSOR_NAME = re.compile(r"[\x21-\x7e]{1,256}")
_TYPES = {"F32": TensorType.F32, "F16": TensorType.F16, "BF16": TensorType.BF16}


def _nothing(_name: str) -> bool:
    return False


class SafetensorsFile(StoredTensors):
    """An open, checked file."""

    @classmethod
    def open(cls, path: Path, ignored: Callable[[str], bool] = _nothing) -> SafetensorsFile:
        """Tensors with an `ignored` name are left out, whatever their type and shape.

        Raises ModelFileError for any defect of the others.
        """
        file = ModelFile(path)
        try:
            return cls(file, _read_header(file, ignored))
        except BaseException:
            file.close()
            raise


def _read_header(file: ModelFile, ignored: Callable[[str], bool]) -> dict[str, Extent]:
    length = int.from_bytes(file.read(0, 8, "its header"), "little")
    if not 2 <= length <= min(MAX_HEADER_BYTES, file.size - 8):
        raise ModelFileError(file.path, "its header is longer than the file or the limit")
    header = _parse(file.path, file.read(8, length, "its header"))
    start = 8 + length
    extents = {
        name: _extent(file.path, name, record, start, file.size - start)
        for name, record in header.items()
        if name != "__metadata__" and not ignored(name)
    }
    _check_overlap(file.path, extents)
    return extents


def _parse(path: Path, text: bytes) -> dict[str, Any]:
    try:
        header = json.loads(text, object_pairs_hook=_unique)
    except (ValueError, RecursionError):
        raise ModelFileError(path, "its header is not JSON with unique names") from None
    if not isinstance(header, dict) or len(header) > MAX_TENSORS:
        raise ModelFileError(path, "its header is not a table of tensors")
    if not all(_TENSOR_NAME.fullmatch(name) for name in header):
        raise ModelFileError(path, "a tensor name is empty, too long or not printable")
    return header


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        raise ValueError
    return table


def _extent(path: Path, name: str, record: Any, start: int, data_size: int) -> Extent:
    try:
        kind, shape, (begin, end) = record["dtype"], record["shape"], record["data_offsets"]
    except (KeyError, TypeError, ValueError):
        raise ModelFileError(path, f"tensor '{name}' is not described properly") from None
    if not isinstance(kind, str) or kind not in _TYPES:
        raise ModelFileError(path, f"tensor '{name}' is not F32, F16 or BF16")
    if not isinstance(shape, list) or not 1 <= len(shape) <= 3 or not all(map(_is_extent, shape)):
        raise ModelFileError(
            path, f"tensor '{name}' is not a vector, a matrix or a stack of matrices"
        )
    info = TensorInfo(name, _TYPES[kind], tuple(shape))
    if not (_is_offset(begin) and _is_offset(end) and begin <= end <= data_size):
        raise ModelFileError(path, f"tensor '{name}' lies outside the file")
    if end - begin != info.num_bytes:
        raise ModelFileError(path, f"tensor '{name}' has {end - begin} bytes, not {info.num_bytes}")
    return Extent(info, start + begin)


def _is_extent(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value < 1 << 31


def _is_offset(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _check_overlap(path: Path, extents: dict[str, Extent]) -> None:
    ordered = sorted(extents.values(), key=lambda extent: extent.offset)
    for before, after in itertools.pairwise(ordered):
        if before.offset + before.info.num_bytes > after.offset:
            raise ModelFileError(
                path, f"tensors '{before.info.name}' and '{after.info.name}' overlap"
            )
