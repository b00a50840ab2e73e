"""Turns a fuzzer's bytes into arguments: the same bytes always give the same call."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T")

EDGES = (-1, 0, 1, 15, 1 << 16, 1 << 24, (1 << 31) - 1, -(1 << 31), (1 << 31) - 16, 1 << 40)
NUMBERS = (0.0, -0.0, 1.0, -1.0, 0.5, 1e-38, 1e-45, 3e38, float("inf"), float("-inf"), float("nan"))


class ByteSource:
    """Reads from the front. Past the end everything is zero."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    def take(self, size: int) -> bytes:
        piece = self._data[self._position : self._position + size]
        self._position += size
        return piece.ljust(size, b"\0")

    def integer(self, low: int, high: int) -> int:
        """In [low, high]."""
        size = 1 if high - low < 256 else 4
        return low + int.from_bytes(self.take(size), "little") % (high - low + 1)

    def pick(self, choices: Sequence[T]) -> T:
        return choices[self.integer(0, len(choices) - 1)]

    def rarely(self) -> bool:
        return self.take(1)[0] > 240

    def size(self, choices: Sequence[int]) -> int:
        """One of the choices, rarely a number that fits nothing."""
        return self.pick(EDGES) if self.rarely() else self.pick(choices)

    def number(self, usual: float) -> float:
        """The usual one, rarely a special or any other."""
        if not self.rarely():
            return usual
        kind = self.integer(0, len(NUMBERS))
        any_float: float = struct.unpack("<f", self.take(4))[0]
        return any_float if kind == len(NUMBERS) else NUMBERS[kind]

    def ids(self, count: int, below: int) -> NDArray[np.int32]:
        """`count` ids in [0, below), rarely with one that is not."""
        made = self._generator().integers(0, max(below, 1), count, dtype=np.int32)
        if count and self.rarely():
            made[self.integer(0, count - 1)] = np.int32(self.pick((-1, below, 2**31 - 1, -(2**31))))
        return made

    def floats(self, *shape: int) -> NDArray[np.float32]:
        """Normal numbers, rarely with some that are special."""
        made = self._generator().normal(size=shape).astype(np.float32)
        if made.size and self.rarely():
            made.reshape(-1)[:: self.integer(1, 40)] = self.pick(NUMBERS)
        return made

    def octets(self, count: int) -> NDArray[np.uint8]:
        return self._generator().integers(0, 256, count, dtype=np.uint8)

    def _generator(self) -> np.random.Generator:
        return np.random.default_rng(self.integer(0, 255))
