"""Writes GGUF files, version 3: metadata entries as bytes, then tensors one at a time."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import BinaryIO

from stoker.errors import ModelFileError
from stoker.model.weights.interface import TensorInfo, Weights

ALIGNMENT = 32
_U32, _I32, _F32, _BOOL, _STRING, _ARRAY = 4, 5, 6, 7, 8, 9
Progress = Callable[[int, int], None]


def text(key: str, value: str) -> bytes:
    return _string(key) + struct.pack("<I", _STRING) + _string(value)


def count(key: str, value: int) -> bytes:
    return _string(key) + struct.pack("<II", _U32, value)


def number(key: str, value: float) -> bytes:
    return _string(key) + struct.pack("<If", _F32, value)


def flag(key: str, value: bool) -> bytes:
    return _string(key) + struct.pack("<I?", _BOOL, value)


def texts(key: str, values: Sequence[str]) -> bytes:
    return _array(key, _STRING, len(values)) + b"".join(map(_string, values))


def numbers(key: str, values: Sequence[float]) -> bytes:
    return _array(key, _F32, len(values)) + struct.pack(f"<{len(values)}f", *values)


def integers(key: str, values: Sequence[int]) -> bytes:
    return _array(key, _I32, len(values)) + struct.pack(f"<{len(values)}i", *values)


def write_gguf(
    target: Path,
    entries: Sequence[bytes],
    weights: Weights,
    names: dict[str, str],
    progress: Progress,
) -> None:
    """Writes the tensors of `weights` under `names` (canonical → GGUF). The file gets its name
    last, so it is whole or absent. Raises ModelFileError when it cannot be written."""
    partial = target.with_name(target.name + ".partial")
    infos = [weights.info(name) for name in names]
    try:
        with partial.open("wb") as file:
            file.write(_header(entries, infos, names))
            _pad(file)
            _write_tensors(file, infos, weights, progress)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(target)
    except OSError as error:
        raise ModelFileError(target, error.strerror or "cannot be written") from None
    finally:
        partial.unlink(missing_ok=True)


def _header(entries: Sequence[bytes], infos: Iterable[TensorInfo], names: dict[str, str]) -> bytes:
    pieces = [b"GGUF", struct.pack("<IQQ", 3, len(names), len(entries)), *entries]
    offset = 0
    for info in infos:
        pieces += [
            _string(names[info.name]),
            struct.pack("<I", len(info.shape)),
            struct.pack(f"<{len(info.shape)}Q", *reversed(info.shape)),
            struct.pack("<IQ", info.type, offset),
        ]
        offset += info.num_bytes + -info.num_bytes % ALIGNMENT
    return b"".join(pieces)


def _write_tensors(
    file: BinaryIO, infos: Sequence[TensorInfo], weights: Weights, progress: Progress
) -> None:
    total, done = sum(info.num_bytes for info in infos), 0
    for info in infos:
        file.write(weights.read(info.name))
        _pad(file)
        done += info.num_bytes
        progress(done, total)


def _pad(file: BinaryIO) -> None:
    file.write(bytes(-file.tell() % ALIGNMENT))


def _string(value: str) -> bytes:
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


def _array(key: str, kind: int, length: int) -> bytes:
    return _string(key) + struct.pack("<IIQ", _ARRAY, kind, length)
