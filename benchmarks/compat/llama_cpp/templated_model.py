"""A GGUF file again with another chat template, which llama.cpp's server takes as a flag and ours
reads from the model. Python's standard library alone."""

from __future__ import annotations

import mmap
import shutil
import struct
from pathlib import Path

KEY = b"tokenizer.chat_template"
TEXT, LIST = 8, 9
SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
"""Bytes of each kind of value but texts and lists."""
ALIGNMENT = 32


class _Reader:
    def __init__(self, data: mmap.mmap) -> None:
        self.data = data
        self.at = 8

    def number(self, layout: str) -> int:
        (value,) = struct.unpack_from(f"<{layout}", self.data, self.at)
        self.at += struct.calcsize(f"<{layout}")
        return int(value)

    def text(self) -> bytes:
        length = self.number("Q")
        self.at += length
        return self.data[self.at - length : self.at]

    def pass_value(self, kind: int) -> None:
        if kind == TEXT:
            self.text()
        elif kind == LIST:
            inner, count = self.number("I"), self.number("Q")
            if inner in SIZES:
                self.at += SIZES[inner] * count
            else:
                for _ in range(count):
                    self.pass_value(inner)
        else:
            self.at += SIZES[kind]


def write_with_template(model: Path, template: str, target: Path) -> None:
    """`model` has a template already and aligns its tensors to 32 bytes, as nearly all do."""
    with model.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        begin, end, head_end = _places(data)
        text = template.encode()
        head = data[:begin] + struct.pack("<Q", len(text)) + text + data[end:head_end]
        with target.open("wb") as copy:
            copy.write(head + b"\0" * (-len(head) % ALIGNMENT))
            file.seek(head_end + -head_end % ALIGNMENT)
            shutil.copyfileobj(file, copy, 1 << 20)


def _places(data: mmap.mmap) -> tuple[int, int, int]:
    """Where the template begins and ends, and where all that precedes the tensors' data ends."""
    reader = _Reader(data)
    num_tensors, num_pairs = reader.number("Q"), reader.number("Q")
    begin = end = 0
    for _ in range(num_pairs):
        key, kind = reader.text(), reader.number("I")
        start = reader.at
        reader.pass_value(kind)
        if key == KEY:
            begin, end = start, reader.at
    for _ in range(num_tensors):
        reader.text()
        dimensions = reader.number("I")
        reader.at += 8 * dimensions + 12
    return begin, end, reader.at
