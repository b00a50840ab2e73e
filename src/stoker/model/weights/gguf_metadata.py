"""The typed key-value section of a GGUF file, read from a buffer that bounds everything."""

from __future__ import annotations

import array
import re
import struct
import sys
from collections.abc import Sequence
from typing import TypeAlias

Value: TypeAlias = "bool | int | float | str | Sequence[Value]"

MAX_ARRAY_DEPTH = 4
MAX_ELEMENTS = 1 << 22
"""Values in an array. The largest vocabularies have a quarter of a million tokens."""
_KEY = re.compile(r"[\x21-\x7e]{1,256}")
_BOOL, _STRING, _ARRAY = 7, 8, 9
_SCALARS = {
    0: "B",
    1: "b",
    2: "H",
    3: "h",
    4: "I",
    5: "i",
    6: "f",
    10: "Q",
    11: "q",
    12: "d",
}
"""struct codes by GGUF value type; `array` shares them."""


class FormatError(Exception):
    """A defect in the file, as one line. Becomes a ModelFileError where the path is known."""


class EndOfHeader(FormatError):
    """The buffer ended first. The file may hold more."""


class MetadataReader:
    """A cursor over the header. Reading past its end is a FormatError, never an allocation."""

    def __init__(self, buffer: bytes) -> None:
        self._buffer = buffer
        self.position = 0
        self.spans: dict[str, tuple[int, int]] = {}
        """Where each metadata entry begins and ends, its key and type included."""

    def take(self, size: int) -> bytes:
        end = self.position + size
        if end > len(self._buffer):
            raise EndOfHeader("the file ends inside its header")
        piece = self._buffer[self.position : end]
        self.position = end
        return piece

    def u32(self) -> int:
        return int.from_bytes(self.take(4), "little")

    def u64(self) -> int:
        return int.from_bytes(self.take(8), "little")

    def count(self, limit: int, smallest: int, what: str) -> int:
        """A number of records of at least `smallest` bytes each, which must fit in the header."""
        number = self.u64()
        if number > limit or number * smallest > len(self._buffer) - self.position:
            raise EndOfHeader(f"the header claims {number} {what}, more than it can hold")
        return number

    def string(self) -> str:
        return _text(self.take(self._length("characters")))

    def metadata(self, count: int) -> dict[str, Value]:
        values: dict[str, Value] = {}
        for _ in range(count):
            start = self.position
            key = self.string()
            if not _KEY.fullmatch(key):
                raise FormatError("a metadata key is empty, too long or not printable")
            if key in values:
                raise FormatError(f"metadata key '{key}' appears twice")
            values[key] = self._value(self.u32(), depth=0)
            self.spans[key] = (start, self.position)
        return values

    def _length(self, what: str) -> int:
        return self.count(len(self._buffer), 1, what)

    def _elements(self, smallest: int) -> int:
        return self.count(MAX_ELEMENTS, smallest, "array elements")

    def _value(self, kind: int, depth: int) -> Value:
        if kind in _SCALARS:
            code = _SCALARS[kind]
            (scalar,) = struct.unpack("<" + code, self.take(struct.calcsize(code)))
            return scalar  # type: ignore[no-any-return]
        if kind == _BOOL:
            return self._bool(self.take(1)[0])
        if kind == _STRING:
            return self.string()
        if kind == _ARRAY:
            return self._array(depth + 1)
        raise FormatError(f"metadata value type {kind} does not exist")

    def _bool(self, byte: int) -> bool:
        if byte > 1:
            raise FormatError("a boolean is neither 0 nor 1")
        return bool(byte)

    def _array(self, depth: int) -> Sequence[Value]:
        if depth > MAX_ARRAY_DEPTH:
            raise FormatError("arrays are nested too deeply")
        kind = self.u32()
        if kind in _SCALARS:
            return self._scalar_array(_SCALARS[kind])
        if kind == _STRING:
            return self._string_array()
        return [self._value(kind, depth) for _ in range(self._elements(1))]

    def _scalar_array(self, code: str) -> Sequence[Value]:
        size = struct.calcsize("<" + code)
        count = self._elements(size)
        # `array` item sizes are the platform's; long is the one that differs, hence I and Q only.
        values = array.array(code, self.take(count * size))
        if sys.byteorder == "big":
            values.byteswap()
        return list(values)

    def _string_array(self) -> Sequence[Value]:
        """A vocabulary has hundreds of thousands of these: one loop, no calls but decode."""
        count = self._elements(8)
        buffer, position, end = self._buffer, self.position, len(self._buffer)
        read_length = struct.Struct("<Q").unpack_from
        strings: list[str] = []
        for _ in range(count):
            if position + 8 > end:
                raise EndOfHeader("the file ends inside its header")
            start = position + 8
            position = start + read_length(buffer, position)[0]
            if position > end:
                raise EndOfHeader("a string reaches past the end of the header")
            strings.append(_text(buffer[start:position]))
        self.position = position
        return strings


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise FormatError("a string is not valid UTF-8") from None
