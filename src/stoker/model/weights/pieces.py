"""Tensors under their canonical names, cut out of what a file stores and joined from it.

Files keep q, k and v in one tensor, or every expert in its own; executors see neither.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from stoker.model.weights.interface import BLOCK, TensorInfo, TensorType

Shape = tuple[int, ...]


class TensorFile(Protocol):
    """One file or several, opened and checked."""

    @property
    def tensors(self) -> Mapping[str, TensorInfo]: ...

    def read(self, name: str) -> memoryview: ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Piece:
    """Rows of one stored tensor: of each of `groups` equal groups of them, `begin` to `end`."""

    stored: str
    shape: Shape
    """What the stored tensor must have: rows and columns, or a length."""
    groups: int
    begin: int
    end: int
    transposed: bool = False
    """Stored as columns and rows. Block formats, whose blocks lie along a row, never are."""

    @property
    def whole(self) -> bool:
        return (self.groups, self.begin, self.end) == (1, 0, self.shape[0])

    def fits(self, info: TensorInfo) -> bool:
        """Whether the stored tensor has the shape; leading dimensions count as rows."""
        if len(self.shape) == 1:
            return math.prod(info.shape) == self.shape[0]
        extents = list(info.shape)
        if self.flipped(info) and len(extents) > 1:
            extents[-2:] = reversed(extents[-2:])
        return (math.prod(extents[:-1]), extents[-1]) == self.shape and len(extents) > 1

    def flipped(self, info: TensorInfo) -> bool:
        return self.transposed and BLOCK[info.type][0] == 1


class PiecedWeights:
    """The tensors of `file` that `sources` names, with the shapes of model/tensors.py."""

    def __init__(
        self,
        file: TensorFile,
        sources: Mapping[str, tuple[Piece, ...]],
        shapes: Mapping[str, Shape],
    ) -> None:
        self._file = file
        self._sources = sources
        self._shapes = shapes

    def names(self) -> Iterator[str]:
        return iter(self._sources)

    def info(self, name: str) -> TensorInfo:
        stored = self._file.tensors[self._sources[name][0].stored]
        return TensorInfo(name, stored.type, self._shapes[name])

    def read(self, name: str) -> bytes | memoryview:
        pieces = self._sources[name]
        if len(pieces) == 1:
            return self._cut(pieces[0])
        return b"".join(self._cut(piece) for piece in pieces)

    def _cut(self, piece: Piece) -> bytes | memoryview:
        info = self._file.tensors[piece.stored]
        data: bytes | memoryview = self._file.read(piece.stored)
        if piece.flipped(info):
            data = _flipped(data, info)
        if piece.whole:
            return data
        rows = np.frombuffer(data, dtype=np.uint8).reshape(
            piece.groups, piece.shape[0] // piece.groups, -1
        )
        return rows[:, piece.begin : piece.end].tobytes()

    def close(self) -> None:
        self._file.close()


def _flipped(data: bytes | memoryview, info: TensorInfo) -> bytes:
    """Rows and columns exchanged."""
    word = np.uint32 if info.type is TensorType.F32 else np.uint16
    return np.frombuffer(data, dtype=word).reshape(info.shape).swapaxes(-1, -2).tobytes()
