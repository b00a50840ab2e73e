"""Weights as an executor reads them: by canonical name, in the form the file has."""

from __future__ import annotations

import enum
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol


class TensorType(enum.IntEnum):
    """Element formats, numbered as in GGUF. `BLOCK` below gives their geometry."""

    F32 = 0
    F16 = 1
    Q4_0 = 2
    Q4_1 = 3
    Q5_0 = 6
    Q5_1 = 7
    Q8_0 = 8
    Q4_K = 12
    Q5_K = 13
    Q6_K = 14
    BF16 = 30


BLOCK: dict[TensorType, tuple[int, int]] = {
    TensorType.F32: (1, 4),
    TensorType.F16: (1, 2),
    TensorType.BF16: (1, 2),
    TensorType.Q4_0: (32, 18),
    TensorType.Q4_1: (32, 20),
    TensorType.Q5_0: (32, 22),
    TensorType.Q5_1: (32, 24),
    TensorType.Q8_0: (32, 34),
    TensorType.Q4_K: (256, 144),
    TensorType.Q5_K: (256, 176),
    TensorType.Q6_K: (256, 210),
}
"""Values in a block, and bytes of a block."""


@dataclass(frozen=True, slots=True)
class TensorInfo:
    name: str
    type: TensorType
    shape: tuple[int, ...]
    """(..., rows, columns) or (columns,); columns are contiguous and a multiple of the block."""

    @property
    def columns(self) -> int:
        return self.shape[-1]

    @property
    def rows(self) -> int:
        return math.prod(self.shape[:-1])

    @property
    def num_bytes(self) -> int:
        values, size = BLOCK[self.type]
        return self.rows * (self.columns // values) * size


class Weights(Protocol):
    """Tensors of one model under their canonical names (see model/spec.py)."""

    def names(self) -> Iterator[str]: ...

    def info(self, name: str) -> TensorInfo:
        """Raises KeyError for a name the model does not have."""
        ...

    def read(self, name: str) -> bytes | bytearray | memoryview:
        """The tensor's bytes, exactly `info(name).num_bytes` of them, C-contiguous.

        Reads from the file each time and keeps nothing, so that packing one tensor at a time
        never holds the model twice. Raises ModelFileError if the file changed or is cut short.
        """
        ...

    def close(self) -> None: ...
